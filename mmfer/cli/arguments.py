"""What commands take alike."""

from __future__ import annotations

import argparse

from mmfer.commands import typed_as_command


def new_parser(command: str, description: str) -> argparse.ArgumentParser:
    """A parser that calls the command as it was typed.

    Args:
        command: What stands behind `mmfer`, such as 'data check'.
        description: Of what it does.
    """
    return argparse.ArgumentParser(prog=f'mmfer {command}' if typed_as_command() else None, description=description)
