"""Writes the faces of a config's datasets as image files: python tools/dataset_tools/faces.py CONFIG FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import read_config, user_errors
from mmfer.apis.config import as_typed
from mmfer.apis.data.face_images import write_face_images
from mmfer.apis.dataset_configs import dataset_configs
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import command


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'data faces',
        "Write the faces of a config's data sets as PNG files, for landmarks of those that have no file of "
        'their own: pixels in a csv (FER2013, FER+), or boxes in photos (ExpW, AffectNet as it was before).',
    )
    parser.add_argument('config', help='a config with the data sets')
    parser.add_argument('folder', metavar='FOLDER', help='where to write; faces that are there already are left')
    add_cfg_options(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    """Writes, and says what to type next."""
    args = arguments().parse_args(argv)
    with user_errors():
        cfg = read_config(args.config, args.cfg_options)
        count = write_face_images(cfg, args.folder)
        root = next((settings.get('data_root') for _, settings in dataset_configs(cfg)), None) or '.'
        print(f'{count:,} faces: {as_typed(args.folder)}')
        out = Path(root) / 'landmarks68.npz'
        print(f'next: {command("dataset_tools/landmarks.py", as_typed(args.folder), out, "--aligned")}')
