"""What commands take alike."""

from __future__ import annotations

import argparse

from mmfer.apis.checkpoints.agreement import FORCE
from mmfer.apis.config import KeyValue
from mmfer.commands import typed_as_command


def new_parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser that calls the command as it was typed.

    Args:
        command: What stands behind `mmfer`, such as 'data check'.
        description: Of what it does.
    """
    return argparse.ArgumentParser(prog=f'mmfer {command}' if typed_as_command() else None, description=description)


def add_run(parser: argparse.ArgumentParser, config: str = 'the config it was trained with') -> None:
    """What names a run that is looked at."""
    parser.add_argument('config', help=config)
    parser.add_argument('checkpoint', help='a checkpoint of training')


def add_cfg_options(parser: argparse.ArgumentParser, force: bool = False) -> None:
    """`--cfg-options`, and `--force` where a checkpoint is held against a config."""
    if force:
        parser.add_argument('--force', action='store_true', help=FORCE)
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, metavar='KEY=VALUE', help='overrides the config')
