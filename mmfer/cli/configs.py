"""Lists the configs that come with mmfer: mmfer configs [WORD ...]."""

from __future__ import annotations

import argparse
from itertools import groupby
from textwrap import shorten

from mmfer.apis import user_errors
from mmfer.cli.arguments import new_parser
from mmfer.shipped import SHIPPED, shipped_configs

WIDTH = 100
"""Of a description, which has to stand on one line with the name."""


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser('configs', 'List the configs that come with mmfer, a line each; train one with its name.')
    parser.add_argument('words', nargs='*', metavar='WORD', help='only names that have all of these, such as lanet')
    return parser


def describe(name: str) -> str:
    """The first sentence of the comment at the top of a shipped config."""
    words: list[str] = []
    for line in (SHIPPED / 'configs' / name).read_text(encoding='utf-8').splitlines():
        if not line.startswith('#'):
            break
        words += line.lstrip('# ').split()
    text = ' '.join(words)
    return shorten(text.split('. ')[0].split('; ')[0].rstrip('.:'), WIDTH, placeholder=' ...')


def main(argv: list[str] | None = None) -> None:
    """Prints the list."""
    args = arguments().parse_args(argv)
    with user_errors():
        found = [name for name in shipped_configs() if all(word in name for word in args.words)]
        if not found:
            raise ValueError(f'no config has {" and ".join(args.words)} in its name; without a word all are listed')
        width = max(map(len, found))
        for _, names in groupby(found, key=lambda name: name.split('/')[0]):
            for name in names:
                print(f'{name:{width}}  {describe(name)}')
            print()
        print(f'{len(found)} configs in {SHIPPED / "configs"}; a config of your own begins with')
        print(f"_base_ = 'mmfer::{found[0]}'")
