"""Writes the faces of a config's datasets as image files: python tools/dataset_tools/faces.py CONFIG FOLDER."""

from __future__ import annotations

import argparse

from mmfer.apis import read_config, user_errors
from mmfer.apis.config import KeyValue, as_typed
from mmfer.apis.face_images import write_face_images


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description="Write the faces of a config's data sets as PNG files, for landmarks of those that have no file of "
        'their own: pixels in a csv (FER2013, FER+), or boxes in photos (ExpW, AffectNet as it was before).'
    )
    parser.add_argument('config', help='a config with the data sets')
    parser.add_argument('folder', metavar='FOLDER', help='where to write; faces that are there already are left')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, metavar='KEY=VALUE', help='overrides the config')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Writes, and says what to type next."""
    args = parse_args(argv)
    with user_errors():
        cfg = read_config(args.config, args.cfg_options)
        count = write_face_images(cfg, args.folder)
        root = cfg.train_dataloader.dataset.get('data_root', '.') if cfg.get('train_dataloader') else '.'
        print(f'{count:,} faces: {as_typed(args.folder)}')
        print(f'next: python tools/dataset_tools/landmarks.py {as_typed(args.folder)} {root}/landmarks68.npz --aligned')


if __name__ == '__main__':
    main()
