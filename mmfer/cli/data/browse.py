"""Shows what the network sees: python tools/dataset_tools/browse.py CONFIG."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import read_config, user_errors
from mmfer.apis.config import as_typed, typed_options
from mmfer.apis.data.browsing import training_faces
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import command
from mmfer.visualization import draw_augmented


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'data browse',
        'Draw the first faces of an epoch as the network gets them, with landmarks and heatmaps: the '
        "config's own loader, sampler and augmentation, and the very draws of a run with this seed.",
    )
    parser.add_argument('config', help='a file under configs/')
    parser.add_argument('--faces', type=int, default=32, metavar='N', help='how many (default: 32)')
    parser.add_argument('--epoch', type=int, default=0, help='counted from 0 (default: 0)')
    parser.add_argument('--seed', type=int, help="(default: the config's)")
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: browse.png in the run's folder)")
    add_cfg_options(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Draws, and says where."""
    args = arguments().parse_args(argv)
    with user_errors():
        for name, least in (('faces', 1), ('epoch', 0)):
            if getattr(args, name) < least:
                raise ValueError(f'--{name} must be at least {least}, got {getattr(args, name)}')
        cfg = read_config(args.config, args.cfg_options)
        seen = training_faces(cfg, args.faces, args.epoch, args.seed)
        title = f'{Path(args.config).stem}, epoch {args.epoch}: the first {len(seen.faces)} faces'
        path = draw_augmented(seen.faces, seen.classes, args.out or Path(cfg.work_dir) / 'browse.png', title)
        more = [] if args.seed is None else ['--seed', args.seed]
        following = command('train.py', args.config, *more, options=typed_options(args))
        print(f'picture: {as_typed(path)}\nnext: {following}')
