"""The command `mmfer`: finds what was asked for, and imports nothing else."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType

import mmfer
from mmfer.structures.naming import closest

COMMANDS = {
    'train': 'train a config',
    'test': 'evaluate a checkpoint: metrics, confusion matrix, a csv of every face',
    'predict': 'predict the expression of a picture, or of all of a folder',
    'export': 'write only what is deployed of a checkpoint',
    'benchmark': 'train a grid of configs, settings and seeds, and make tables of it',
    'audit': 'find training labels that are probably wrong, of a config or of a folder of class folders',
    'configs': 'list the configs that come with mmfer, one line each',
    'data check': "look through a config's datasets: counts, broken images, duplicates and leaks, landmarks",
    'data browse': 'draw what the network sees, after augmentation',
    'data landmarks': 'find 68 landmarks in every image of a folder, or import those of others',
    'data align': 'turn, scale and shift faces onto a template',
    'data faces': "write a config's faces as image files",
    'data noise': "write label noise for a config's training set, which can be cited",
    'data pack': "pack a config's images into one file, for GPUs that wait for data",
    'analyze noise-report': 'which labels a run believes to be wrong',
    'analyze attribution': 'where a network looks, against the landmarks (PAL)',
    'analyze neighbours': "faces' neighbours and what a run believes of their labels (LA-Net)",
    'analyze relabels': 'the faces that a run has relabelled (SCN)',
    'analyze importance': 'the faces that a run trusts least and most (SCN, SNA)',
    'completion': 'print a script for bash that completes commands, options and configs',
}
"""What can be typed behind `mmfer`, in the order of the help; `mmfer.cli` has a module of each name."""
GROUPS = {'data': 'before training', 'analyze': 'after training'}


def main(argv: list[str] | None = None) -> None:
    """Runs what was typed."""
    try:
        _run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # `mmfer configs | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _run(words: list[str]) -> None:
    if words[:1] in ([], ['-h'], ['--help'], ['help']):
        print(overview())
        return
    if words[0] == '--version':
        print(f'mmfer {mmfer.__version__}')
        return
    if words[0] in GROUPS and words[1:2] in ([], ['-h'], ['--help']):
        print(overview(words[0]))
        return
    name = ' '.join(words[: 2 if words[0] in GROUPS else 1])
    if name not in COMMANDS:
        near = closest(name, COMMANDS)
        hint = f'did you mean `mmfer {near}`?' if near else '`mmfer --help` lists what there is'
        print(f'mmfer: error: there is no command `mmfer {name}`; {hint}', file=sys.stderr)
        raise SystemExit(2)
    module_of(name).main(words[len(name.split()) :])


def module_of(name: str) -> ModuleType:
    """The module of a command such as 'data check'."""
    return import_module('mmfer.cli.' + name.replace(' ', '.').replace('-', '_'))


def overview(group: str | None = None) -> str:
    """The help: a line for each command, of a group or of all."""
    shown = {name: line for name, line in COMMANDS.items() if group is None or name.startswith(f'{group} ')}
    width = max(map(len, shown)) + 2
    lines = [f'usage: mmfer {group or "COMMAND"} {"COMMAND " if group else ""}...', '']
    before = ''
    for name, line in shown.items():
        first = name.split()[0]
        if first in GROUPS and first != before:
            lines += [f'{GROUPS[first]}:']
        elif before in GROUPS and first not in GROUPS:
            lines += ['besides:']
        before = first
        lines.append(f'  {name:{width}}{line}')
    return '\n'.join([*lines, '', f'`mmfer {group + " " if group else ""}COMMAND --help` says what each takes.'])
