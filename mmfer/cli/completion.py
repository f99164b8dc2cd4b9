"""Prints a script for tab completion: mmfer completion bash."""

from __future__ import annotations

import argparse

import shtab

from mmfer.apis import user_errors
from mmfer.cli.arguments import new_parser
from mmfer.cli.main import COMMANDS, GROUPS, module_of
from mmfer.shipped import shipped_configs

FILES = {'config', 'checkpoint', 'source', 'folder', 'out', 'work_dir'}
CONFIG = {'bash': '_mmfer_config'}
PREAMBLE = '_mmfer_config() {{ compgen -W "{names}" -- "$1"; compgen -f -- "$1"; }}'


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser('completion', 'Print a script that completes commands, options and the names of configs.')
    parser.epilog = 'In ~/.bashrc: eval "$(mmfer completion bash)"'
    parser.add_argument('shell', choices=['bash'])
    return parser


def everything() -> argparse.ArgumentParser:
    """One parser with all commands as sub-commands, as the completion wants it."""
    top = argparse.ArgumentParser(prog='mmfer')
    places = {'': top.add_subparsers()}
    for group, line in GROUPS.items():
        places[group] = places[''].add_parser(group, help=line).add_subparsers()
    for name, line in COMMANDS.items():
        group, _, last = name.rpartition(' ')
        parent = module_of(name).arguments()
        for action in parent._actions:
            if action.dest in ('config', 'audited'):
                action.complete = CONFIG
            elif action.dest in FILES and not action.choices:
                action.complete = shtab.FILE
        places[group].add_parser(last, help=line, parents=[parent], add_help=False)
    return top


def main(argv: list[str] | None = None) -> None:
    """Prints the script."""
    args = arguments().parse_args(argv)
    with user_errors():
        preamble = PREAMBLE.format(names=' '.join(shipped_configs()))
        print(shtab.complete(everything(), shell=args.shell, preamble={args.shell: preamble}))
