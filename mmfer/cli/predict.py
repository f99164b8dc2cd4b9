"""Predicts expressions: python tools/predict.py IMAGE_OR_FOLDER --checkpoint CKPT."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

from mmengine.device import get_device

from mmfer.apis import FaceAligner, FacePredictor, find_pictures, predict_pictures, user_errors
from mmfer.apis.checkpoints.agreement import FORCE
from mmfer.apis.checkpoints.checkpoint_config import ALLOW, config_of
from mmfer.apis.config import as_typed
from mmfer.apis.prediction import Prediction, check_any
from mmfer.apis.prediction_table import prediction_table
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.detectors.choice import default_landmark_detector
from mmfer.structures.printable import printable_name
from mmfer.visualization import draw_predictions

FACES_A_SHEET = 32
PRINTED = 20


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser('predict', 'Predict the expression of a picture, or of all of a folder.')
    parser.add_argument('source', metavar='IMAGE_OR_FOLDER', help='aligned faces, or photos with --align')
    parser.add_argument('--checkpoint', required=True, help='a checkpoint of training, or an exported one')
    parser.add_argument('--config', help='the config it was trained with (default: the one that it carries)')
    parser.add_argument('--force', action='store_true', help=FORCE)
    parser.add_argument('--allow', nargs='+', default=[], metavar='PACKAGE', help=ALLOW)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--align', action='store_true', help='find and align the faces first')
    which.add_argument('--aligned', action='store_true', help='every picture is one aligned face, whatever its size')
    parser.add_argument(
        '--detector',
        metavar='TYPE',
        help='with --align, a registered landmark detector (default: mmfer.FaceAlignmentDetector; mmfer.DlibLandmarks '
        'where its weights are not here and dlib is)',
    )
    parser.add_argument(
        '--face-detector', metavar='NAME', help='with --align, a registered one, such as mmfer.DlibFaces, or sfd, ...'
    )
    parser.add_argument(
        '--out', help="folder for csv and pictures (default: 'predictions' in the checkpoint's or config's)"
    )
    parser.add_argument('--sheets', type=int, default=5, help='contact sheets to draw at most (default: 5)')
    parser.add_argument('--batch-size', type=int, default=64, help='faces a forward pass (default: 64)')
    parser.add_argument('--device', help='default: the accelerator where there is one')
    add_cfg_options(parser)
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments()
    args = parser.parse_args(argv)
    if (args.detector or args.face_detector) and not args.align:
        parser.error('--detector and --face-detector go with --align')
    return args


def label(prediction: Prediction, root: Path) -> str:
    """Name of a face as it is printed and drawn."""
    path = prediction.path.relative_to(root) if root.is_dir() else Path(prediction.path.name)
    name = printable_name(path)
    return name if prediction.box is None else f'{name} #{prediction.face}'


def draw_sheets(predictions: list[Prediction], classes: list[str], source: Path, folder: Path) -> list[Path]:
    """Draws contact sheets, or one large picture."""
    written: list[Path] = []
    for start in range(0, len(predictions), FACES_A_SHEET):
        page = predictions[start : start + FACES_A_SHEET]
        single = len(predictions) == 1
        stem = os.fsencode(printable_name(page[0].path.stem))[:200].decode(errors='ignore')  # of 255 bytes
        path = folder / (f'{stem}_predicted.png' if single else f'sheet_{len(written) + 1:02}.png')
        draw_predictions(
            [face.picture for face in page],
            [label(face, source) for face in page],
            [face.score for face in page],
            classes,
            path,
            '' if single else f'{source}, percent',
        )
        written.append(path)
    return written


def assumption(predictor: FacePredictor, larger: list[tuple[Path, str]]) -> str:
    """What was taken for granted of pictures that no detector has looked at, and what their size tells against it."""
    said = 'no detector was asked: each picture was taken as one aligned face (of photos: --align)'
    if predictor.training_faces is None:
        return f'{said}; the checkpoint does not say what those of its training looked like'
    if not larger:
        return said
    (path, size), count = min(larger), len(larger)
    return (
        f'{said}; {count} of them {"are" if count > 1 else "is"} larger than the faces of training '
        f'({predictor.training_faces}), first {printable_name(path)} ({size}): of a photo the labels above mean nothing'
    )


def build_aligner(args: argparse.Namespace, device: str) -> FaceAligner:
    """What finds the faces; says so where it is not the usual one."""
    kind, why = (args.detector, '') if args.detector else default_landmark_detector()
    if why:
        print(f'faces and landmarks {why}')
    faces = dict(face_detector=args.face_detector) if args.face_detector else {}
    return FaceAligner(device=device, detector=dict(type=kind, **faces))


def main(argv: list[str] | None = None) -> None:
    """Predicts, writes the csv and the pictures, and names what was left out."""
    args = parse_args(argv)
    with user_errors():
        source = Path(args.source)
        pictures = find_pictures(source)
        cfg = config_of(args.config, args.checkpoint, args.cfg_options, allow=args.allow, data=False)
        folder = Path(args.out or Path(cfg.work_dir) / 'predictions')
        device = args.device or str(get_device())
        predictor = FacePredictor(cfg, args.checkpoint, device, args.batch_size, args.force)
        aligner = build_aligner(args, device) if args.align else None

        skipped: list[tuple[Path, str]] = []
        larger: list[tuple[Path, str]] = []
        shown: list[Prediction] = []
        counts: Counter[str] = Counter()
        with prediction_table(folder / 'predictions.csv', predictor.classes) as add:
            for face in predict_pictures(predictor, pictures, aligner, skipped, args.aligned, larger):
                add(face)
                ranked = sorted(zip(predictor.classes, face.score, strict=True), key=lambda pair: -pair[1])
                if sum(counts.values()) < PRINTED:
                    shares = ', '.join(f'{printable_name(name)} {100 * share:.1f} %' for name, share in ranked)
                    print(f'{label(face, source)}: {shares}')
                counts[ranked[0][0]] += 1
                if len(shown) < args.sheets * FACES_A_SHEET:
                    shown.append(face)

        faces = sum(counts.values())
        for path, why in skipped:
            print(f'skipped {printable_name(path)}: {why}')
        check_any(faces, pictures, source, skipped)
        if faces > PRINTED:
            print(
                f'... {faces} faces in all: '
                + ', '.join(f'{printable_name(name)} {count}' for name, count in counts.most_common())
            )
        if skipped:
            print(f'{len(skipped)} of {len(pictures)} pictures skipped, see above')
        if not args.align and not args.aligned:
            print(assumption(predictor, larger))
        written = draw_sheets(shown, predictor.classes, source, folder)
        more = f' (the first {len(shown)} of {faces} faces)' if len(shown) < faces else ''
        print(f'table: {as_typed(folder / "predictions.csv")}\npictures: {"  ".join(map(as_typed, written))}{more}')
