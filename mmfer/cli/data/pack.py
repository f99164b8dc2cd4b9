"""Packs a config's images into one file: python tools/dataset_tools/pack.py CONFIG OUT."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import read_config, user_errors
from mmfer.apis.config import as_typed, typed_options
from mmfer.apis.data.packing import pack
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import command

SPLITS = ('train', 'val', 'test')


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'data pack',
        'Decodes and resizes every image of the datasets of a config once, into one file that training '
        'maps into memory. Killed, the same command goes on.',
    )
    parser.add_argument('config', help='config whose datasets to pack')
    parser.add_argument('out', help='file to write, for example data/rafdb_100px.pack')
    parser.add_argument(
        '--split', choices=[*SPLITS, 'all'], default='all', help="whose dataloader's dataset to pack (default: all)"
    )
    parser.add_argument(
        '--size',
        type=_side,
        metavar='S',
        help="side of the packed images in pixels (default: that of the pipeline's LoadFace)",
    )
    parser.add_argument('--workers', type=_side, metavar='N', help='threads that decode (default: one a core)')
    add_cfg_options(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Packs, and says how to train with it."""
    args = arguments().parse_args(argv)
    with user_errors():
        cfg = read_config(args.config, args.cfg_options)
        done = pack(cfg, args.out, SPLITS if args.split == 'all' else [args.split], args.size, args.workers)
        path, (height, width) = as_typed(args.out), done.size
        options = [*typed_options(args), *(f'{key}.packed={path}' for key in done.datasets)]
        if args.size is not None:  # reading is refused where the pipeline asks for another
            options += [f'{key}.pipeline.0.size={args.size}' for key in done.datasets]
        print(
            f'{path} {"has" if done.written else "is up to date:"} {done.images:,} faces of {height} x {width} '
            f'pixels, {Path(args.out).stat().st_size / 2**20:,.1f} MiB\n'
            f'next: {command("train.py", args.config, options=options)}'
        )


def _side(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number of at least 1')
    return number
