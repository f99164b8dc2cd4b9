"""Writes the deployed network only: python tools/model_tools/export.py CKPT OUT."""

from __future__ import annotations

import argparse

from mmfer.apis import export_deployed, user_errors
from mmfer.apis.checkpoints.checkpoint_config import ALLOW
from mmfer.cli.arguments import new_parser


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'export',
        'Write backbone, neck and head of a checkpoint, without anything that only training needs. '
        'The file loads strictly into a stock mmpretrain ImageClassifier.',
    )
    parser.add_argument('checkpoint', help='a checkpoint of training')
    parser.add_argument('out', help='the file to write')
    parser.add_argument(
        '--ema',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='insist on averaged weights, or on those before averaging (default: those validated with, '
        'which are the averaged ones where the run averaged)',
    )
    parser.add_argument('--allow', nargs='+', default=[], metavar='PACKAGE', help=ALLOW)
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    return arguments().parse_intermixed_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Exports, and prints what is in the file."""
    args = parse_args(argv)
    with user_errors():
        report = export_deployed(args.checkpoint, args.out, args.ema, args.allow)
        dropped = ', '.join(f'{count} of {name}' for name, count in report.dropped.items()) or 'nothing'
        print(
            f'{report.path}: {report.parameters:,} parameters{", averaged (EMA)" if report.averaged else ""}; '
            f'tensors left out: {dropped}\nsha256 {report.sha256}'
        )
