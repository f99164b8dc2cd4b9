"""Shows the faces that a run relabelled: python tools/analysis_tools/relabels.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import user_errors
from mmfer.apis.analysis.doubts import draw_relabels
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.checkpoints.agreement import FORCE
from mmfer.apis.config import KeyValue, as_typed
from mmfer.cli.arguments import new_parser


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze relabels',
        'Draw training faces that SCN has given another label, with old and new label. Frames: green where '
        'the new label is the clean one, red where it is not, grey where that is unknown. Every relabel of a run is in '
        'its relabels.csv.',
    )
    parser.add_argument('config', help='the config it was trained with')
    parser.add_argument('checkpoint', help='a checkpoint of training')
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: relabels.png in the run's folder)")
    parser.add_argument('--faces', type=int, default=32, metavar='N', help='faces to draw from them (default: 32)')
    parser.add_argument('--seed', type=int, default=0, help='of the draw (default: 0)')
    parser.add_argument('--force', action='store_true', help=FORCE)
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, metavar='KEY=VALUE', help='overrides the config')
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    return arguments().parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = parse_args(argv)
    with user_errors():
        run = read_run(args.config, args.checkpoint, args.cfg_options, device='cpu', force=args.force)
        path = draw_relabels(run, args.out or Path(run.cfg.work_dir) / 'relabels.png', args.faces, args.seed)
        print(f'picture: {as_typed(path)}')
