"""Shows the least and most important faces of a run: python tools/analysis_tools/importance.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import user_errors
from mmfer.apis.analysis.doubts import draw_importance
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.config import as_typed
from mmfer.cli.arguments import add_cfg_options, add_run, new_parser


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze importance',
        'Draw the training faces of lowest and of highest importance (SCN; with SNA: reliability) with '
        'their observed label. Frames: green where it is the clean one, red where not, grey where that is unknown.',
    )
    add_run(parser)
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: importance.png in the run's folder)")
    parser.add_argument('--faces', type=int, default=32, metavar='N', help='faces to show, half of each (default: 32)')
    add_cfg_options(parser, force=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = arguments().parse_args(argv)
    with user_errors():
        run = read_run(args.config, args.checkpoint, args.cfg_options, device='cpu', force=args.force)
        path = draw_importance(run, args.out or Path(run.cfg.work_dir) / 'importance.png', args.faces)
        print(f'picture: {as_typed(path)}')
