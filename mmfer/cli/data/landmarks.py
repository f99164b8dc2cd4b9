"""Finds 68 landmarks in every image of a folder: python tools/dataset_tools/landmarks.py FOLDER OUT.npz."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mmfer.apis import user_errors
from mmfer.apis.config import KeyValue, as_typed
from mmfer.apis.data.landmark_extraction import CHUNK, extract_landmarks
from mmfer.apis.data.landmark_import import import_landmarks
from mmfer.cli.arguments import new_parser
from mmfer.commands import command
from mmfer.datasets.landmarks.landmark_file import read_landmarks
from mmfer.datasets.landmarks.posture_fault import fault_of
from mmfer.detectors.choice import default_landmark_detector
from mmfer.structures.printable import printable

DETECTOR = 'see that the detector gives x, then y'


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'data landmarks',
        'Find 68 landmarks in every image of a folder. After a kill the same command goes on.',
    )
    parser.add_argument('folder', metavar='FOLDER', help='images; with --import a landmark file or folder of any kind')
    parser.add_argument('out', metavar='OUT.npz', help='landmark file to write')
    parser.add_argument(
        '--import',
        dest='convert',
        action='store_true',
        help='only convert: .npz, .csv, or a folder of .pts, row-column .txt or _lnd.npy files',
    )
    parser.add_argument(
        '--swap-xy',
        action='store_true',
        help='with --import: x and y are the other way round, as in .txt files of "x y"',
    )
    parser.add_argument(
        '--detector',
        metavar='TYPE',
        help='a registered landmark detector (default: mmfer.FaceAlignmentDetector; mmfer.DlibLandmarks where its '
        'weights are not here and dlib is)',
    )
    faces = parser.add_mutually_exclusive_group()
    faces.add_argument(
        '--face-detector',
        metavar='NAME',
        help='a registered one, such as mmfer.DlibFaces, or of the face-alignment package: sfd, blazeface, '
        "retinaface, ... (default: the detector's own)",
    )
    faces.add_argument('--aligned', action='store_true', help='every image is a cropped face: detect none')
    parser.add_argument(
        '--detector-options',
        nargs='+',
        action=KeyValue,
        default={},
        metavar='KEY=VALUE',
        help='other parameters of the detector',
    )
    parser.add_argument('--batch-size', type=int, default=16, help=f'images a pass (default: 16, at most {CHUNK})')
    parser.add_argument('--device', help='cuda or cpu (default: the accelerator where there is one)')
    parser.add_argument('--jobs', type=int, default=1, help='processes, each with a detector of its own (default: 1)')
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments()
    args = parser.parse_args(argv)
    if args.swap_xy and not args.convert:
        parser.error('--swap-xy goes with --import: a detector gives x, then y')
    return args


def detector_config(args: argparse.Namespace) -> dict[str, Any]:
    """What to build; an option that was not given is left to the detector."""
    kind, why = (args.detector, '') if args.detector else default_landmark_detector()
    if why:
        print(f'landmarks {why}')
    config = dict(type=kind, **args.detector_options)
    if args.aligned or args.face_detector:
        config['face_detector'] = None if args.aligned else args.face_detector
    if args.device:
        config['device'] = args.device
    return config


def main(argv: list[str] | None = None) -> None:
    """Finds or converts, and says what was written."""
    args = parse_args(argv)
    with user_errors():
        if args.convert:
            faces = import_landmarks(args.folder, args.out, args.swap_xy)
            print(f'{len(faces.names):,} faces: {as_typed(args.out)}')
        else:
            try:
                done = extract_landmarks(args.folder, args.out, detector_config(args), args.batch_size, args.jobs)
            except KeyboardInterrupt:
                print('interrupted; the same command goes on where it was', file=sys.stderr)
                raise SystemExit(130) from None
            print(f'{done.images:,} images, {done.failed:,} without landmarks: {as_typed(done.failures)}')
            if done.sheet:
                print(f'the worst: {as_typed(done.sheet)}')
            before = '' if done.found_now else ' (was there already; delete it to detect again)'
            print(f'landmarks: {as_typed(done.out)}{before}')
            faces = read_landmarks(str(done.out))
            if (found := faces.score[faces.score > 0]).size:
                lowest = found.min()
                print(
                    f'scores: lowest {lowest:.2f} ({(found == lowest).sum():,} images), median {np.median(found):.2f}'
                )
            if wrong := fault_of(*faces, where=as_typed(done.out), exchange=DETECTOR):
                print(f'warning: {printable(wrong)}', file=sys.stderr)
        option = f'train_dataloader.dataset.landmarks={Path(args.out).absolute()}'
        print(f'next: {command("train.py", "CONFIG", options=[option])}')
