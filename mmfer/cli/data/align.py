"""Aligns faces by their landmarks: python tools/dataset_tools/align.py FOLDER LANDMARKS OUT_FOLDER."""

from __future__ import annotations

import argparse
import sys

from mmfer.apis import user_errors
from mmfer.apis.config import as_typed
from mmfer.apis.data.alignment import TEMPLATES
from mmfer.apis.data.folder_alignment import align_folder
from mmfer.cli.arguments import new_parser
from mmfer.machine import usable_cores


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    sizes = ', '.join(f'{name} {template.size}' for name, template in TEMPLATES.items())
    parser = new_parser(
        'data align',
        'Turn, scale and shift every face of a folder onto a template. After a kill the same command goes '
        'on. Faces without landmarks are left out and listed.',
    )
    parser.add_argument('folder', metavar='FOLDER', help='images')
    parser.add_argument('landmarks', metavar='LANDMARKS', help='landmark file or folder of any kind')
    parser.add_argument('out', metavar='OUT_FOLDER', help='folder to write to, new or begun by the same command')
    parser.add_argument('--template', choices=list(TEMPLATES), default='rafdb', help='(default: rafdb)')
    parser.add_argument('--size', type=int, help=f"side of the faces (default: the template's: {sizes})")
    parser.add_argument('--png', action='store_true', help='write .png (default: the kind of the image)')
    parser.add_argument('--quality', type=int, default=95, help='of jpegs (default: 95)')
    parser.add_argument('--jobs', type=int, default=usable_cores(), help='processes (default: one a core)')
    return parser


def main(argv: list[str] | None = None) -> None:
    """Aligns, and says what was written."""
    args = arguments().parse_args(argv)
    with user_errors():
        try:
            done = align_folder(
                args.folder, args.landmarks, args.out, args.template, args.size, args.png, args.quality, args.jobs
            )
        except KeyboardInterrupt:
            print('interrupted; the same command goes on where it was', file=sys.stderr)
            raise SystemExit(130) from None
        print(f'{done.images:,} images, {done.failed:,} left out: {as_typed(done.failures)}')
        print(f'landmarks of the aligned faces: {as_typed(done.landmarks)}')
        print(f'aligned faces: {as_typed(args.out)}')
