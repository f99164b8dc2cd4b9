"""Shows the faces that a run relabelled: python tools/analysis_tools/relabels.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import user_errors
from mmfer.apis.analysis.doubts import draw_relabels
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.config import as_typed
from mmfer.cli.arguments import add_cfg_options, add_run, new_parser


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze relabels',
        'Draw training faces that SCN has given another label, with old and new label. Frames: green where '
        'the new label is the clean one, red where it is not, grey where that is unknown. Every relabel of a run is in '
        'its relabels.csv.',
    )
    add_run(parser)
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: relabels.png in the run's folder)")
    parser.add_argument('--faces', type=int, default=32, metavar='N', help='faces to draw from them (default: 32)')
    parser.add_argument('--seed', type=int, default=0, help='of the draw (default: 0)')
    add_cfg_options(parser, force=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = arguments().parse_args(argv)
    with user_errors():
        run = read_run(args.config, args.checkpoint, args.cfg_options, device='cpu', force=args.force)
        path = draw_relabels(run, args.out or Path(run.cfg.work_dir) / 'relabels.png', args.faces, args.seed)
        print(f'picture: {as_typed(path)}')
