"""Shows where a network looks: python tools/analysis_tools/attribution.py CONFIG CHECKPOINT [--before CHECKPOINT]."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import user_errors
from mmfer.apis.analysis.attributions import show_attributions
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.config import as_typed
from mmfer.cli.arguments import add_cfg_options, add_run, new_parser


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze attribution',
        'Draw training faces, the landmark prior, and the attribution of the layer that PAL taps (mean of '
        'its channels), laid over the faces. The numbers are the correlation of attribution and prior.',
    )
    add_run(parser, config='a config with PAL')
    parser.add_argument('--before', metavar='CHECKPOINT', help="another of the same network, such as the baseline's")
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: attribution.png in the run's folder)")
    parser.add_argument('--faces', type=int, default=6, metavar='N', help='faces to show (default: 6)')
    add_cfg_options(parser, force=True)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = arguments().parse_args(argv)
    with user_errors():
        run = read_run(args.config, args.checkpoint, args.cfg_options, device='cpu', force=args.force)
        out = args.out or Path(run.cfg.work_dir) / 'attribution.png'
        path, agreement = show_attributions(run, out, args.faces, args.before, force=args.force)
        for name, value in agreement.items():
            print(f'{name}: agreement with the landmarks {value:+.3f}')
        print(f'picture: {as_typed(path)}')
