"""Shows where a network looks: python tools/analysis_tools/attribution.py CONFIG CHECKPOINT [--before CHECKPOINT]."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import user_errors
from mmfer.apis.analysis.attributions import show_attributions
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.checkpoints.agreement import FORCE
from mmfer.apis.config import KeyValue, as_typed
from mmfer.cli.arguments import new_parser


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze attribution',
        'Draw training faces, the landmark prior, and the attribution of the layer that PAL taps (mean of '
        'its channels), laid over the faces. The numbers are the correlation of attribution and prior.',
    )
    parser.add_argument('config', help='a config with PAL')
    parser.add_argument('checkpoint', help='a checkpoint of training')
    parser.add_argument('--before', metavar='CHECKPOINT', help="another of the same network, such as the baseline's")
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: attribution.png in the run's folder)")
    parser.add_argument('--faces', type=int, default=6, metavar='N', help='faces to show (default: 6)')
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
        out = args.out or Path(run.cfg.work_dir) / 'attribution.png'
        path, agreement = show_attributions(run, out, args.faces, args.before, force=args.force)
        for name, value in agreement.items():
            print(f'{name}: agreement with the landmarks {value:+.3f}')
        print(f'picture: {as_typed(path)}')
