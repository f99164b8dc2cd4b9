"""Draws synthetic faces into folders of classes: python -m acme_fer data/acme_faces."""

import argparse
from pathlib import Path

import cv2

from mmfer.datasets import SyntheticFaces


def main() -> None:
    """Writes both splits."""
    parser = argparse.ArgumentParser(description='Draw synthetic faces, a folder for each class.')
    parser.add_argument('folder', type=Path)
    parser.add_argument('--faces', type=int, default=1000, help='to train; half as many to test (default: 1000)')
    parser.add_argument('--size', type=int, default=64, help='side in pixels (default: 64)')
    args = parser.parse_args()
    for split, count in (('train', args.faces), ('test', args.faces // 2)):
        faces = SyntheticFaces(split=split, num=count, size=args.size, cache_dir=None)
        for i, (picture, label) in enumerate(zip(faces.columns['image'], faces.columns['label'], strict=True)):
            path = args.folder / split / faces.metainfo['classes'][label] / f'{i:05}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
    print(f'faces: {args.folder}')


if __name__ == '__main__':
    main()
