"""Evaluates a checkpoint: python tools/test.py [CONFIG] CHECKPOINT."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.dist import is_main_process

from mmfer.apis import default_work_dir, evaluate, user_errors
from mmfer.apis.checkpoints.agreement import FORCE
from mmfer.apis.checkpoints.checkpoint_config import ALLOW, config_of
from mmfer.apis.config import as_typed, typed_options
from mmfer.apis.processes import leave_together
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import of_checkpoint
from mmfer.evaluation.protocol import CONFIDENCE, HEADLINE
from mmfer.structures.printable import printable_name


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'test', 'Evaluate a checkpoint: as its training did, or on the test data of the config that is named.'
    )
    parser.add_argument('config', nargs='?', help='a config (default: the one that the checkpoint carries)')
    parser.add_argument('checkpoint', help='a checkpoint of training, or an exported one')
    parser.add_argument(
        '--work-dir', help="folder for what is written (default: 'test' in the checkpoint's or config's)"
    )
    parser.add_argument('--force', action='store_true', help=FORCE)
    parser.add_argument('--allow', nargs='+', default=[], metavar='PACKAGE', help=ALLOW)
    parser.add_argument('--out', metavar='CSV', help='where to write one row an image (default: in the work folder)')
    add_cfg_options(parser)
    parser.add_argument('--verbose', action='store_true', help='show all that the log file gets')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='set by dist_test.sh')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    args = arguments().parse_intermixed_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(argv: list[str] | None = None) -> None:
    """Evaluates, and prints every figure."""
    args = parse_args(argv)
    with user_errors():
        folder = default_work_dir(args.config) if args.config else Path(args.checkpoint).parent
        cfg = config_of(args.config, args.checkpoint, args.cfg_options, args.work_dir or folder / 'test', args.allow)
        report = evaluate(cfg, args.checkpoint, args.out, args.launcher, args.force, args.verbose)
        if not is_main_process():
            leave_together()
            return
        print(f'{report.faces} faces of {report.split}, percent')
        for name, value in report.metrics.items():
            print(f'  {(HEADLINE | CONFIDENCE).get(name, printable_name(name)):24}{value:8.2f}')
        print(f'  {printable_name(f"always {report.majority[0]}"):24}{report.majority[1]:8.2f}')
        print(f'confusion matrix: {as_typed(report.picture)}\nevery face: {as_typed(report.table)}')
        more = [*(['--force'] if args.force else []), *(['--allow', *args.allow] if args.allow else [])]
        following = of_checkpoint('predict.py', args.config, args.checkpoint, *more, options=typed_options(args))
        print(f'next: {following}')
        leave_together()
