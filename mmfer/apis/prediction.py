"""Predicts the expressions of pictures with the deployed network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmfer.apis.data.image_folder import image_names, read_or_reason
from mmfer.apis.face_predictor import FacePredictor
from mmfer.datasets.reading.files import require_regular_file


@dataclass(frozen=True)
class Prediction:
    """What the network says of one face.

    Args:
        path: The picture.
        face: Its number in the picture, from 0 at the left.
        box: Left, top, right, bottom in the picture; None for a picture that is an aligned face.
        picture: The face, BGR, at most 224 px.
        score: Probabilities [K].
    """

    path: Path
    face: int
    box: tuple[int, int, int, int] | None
    picture: np.ndarray
    score: np.ndarray


def find_pictures(source: str | Path) -> list[Path]:
    """The pictures of a folder and its subfolders in order of name, or the one picture named.

    Raises:
        FileNotFoundError: There is nothing of that name.
        ValueError: The folder has no picture, or it is no file but a pipe or device.
    """
    source = Path(source)
    if source.is_dir():
        return [source / name for name in image_names(source)]
    if not source.exists():
        raise FileNotFoundError(f'there is no picture or folder {source}')
    require_regular_file(source)
    return [source]


def predict_pictures(
    predictor: FacePredictor,
    paths: Iterable[Path],
    aligner: Callable[..., Any] | None = None,
    skipped: list[tuple[Path, str]] | None = None,
    aligned: bool = False,
    larger: list[tuple[Path, str]] | None = None,
) -> Iterator[Prediction]:
    """Predicts pictures in batches; reading and decoding run beside the network.

    Args:
        predictor: The network.
        paths: Pictures.
        aligner: Finds and cuts out faces. Defaults to None: every picture is taken as one aligned face, unless its size
            or shape tells that it is none.
        skipped: Collects pictures without a prediction, and why.
        aligned: Whether every picture is known to be one aligned face, whatever its size.
        larger: Collects pictures that were taken as a face although larger than those of training, and their size.
    """
    skipped, larger = [] if skipped is None else skipped, [] if larger is None else larger
    seen = None if aligned or aligner is not None else predictor.training_faces

    def load(path: Path) -> tuple[list[tuple[Any, ...]], str]:
        image, fault = read_or_reason(path)
        if image is None:
            return [], f'cannot be read as a picture: {fault}'
        height, width = image.shape[:2]
        if seen is not None and seen.is_unlike(width, height):
            return [], (
                f'it is {width} x {height} pixels and the faces of training were {seen}, so it seems to be a photo and '
                'no aligned face: find its faces with --align, or, if it is one aligned face, say --aligned'
            )
        if seen is not None and seen.is_larger(width, height):
            larger.append((path, f'{width} x {height}'))
        faces = [(None, image)] if aligner is None else [(face.box, face.crop) for face in aligner(image)]
        found = [(i, box, _thumbnail(face), predictor.prepare(face)) for i, (box, face) in enumerate(faces)]
        return found, 'no face found'

    paths = iter(paths)
    with ThreadPoolExecutor(4 if aligner is None else 1) as pool:  # the detector has the processor to itself
        while chunk := list(islice(paths, predictor.batch_size)):
            faces = []
            for path, (found, reason) in zip(chunk, pool.map(load, chunk), strict=True):
                if not found:
                    skipped.append((path, reason))
                faces += [(path, *face) for face in found]
            scores = predictor.predict([prepared for *_, prepared in faces])
            for (path, i, box, picture, _), score in zip(faces, scores, strict=True):
                yield Prediction(path, i, box, picture, score)


def check_any(faces: int, pictures: Sequence[Path], source: str | Path, skipped: Sequence[tuple[Path, str]]) -> None:
    """Something was predicted.

    Raises:
        ValueError: All pictures were skipped; the first reason is named.
    """
    if not faces:
        raise ValueError(
            f'none of the {len(pictures)} pictures of {source} could be predicted; the first: {skipped[0][1]}'
        )


def _thumbnail(image: np.ndarray, side: int = 224) -> np.ndarray:
    scale = side / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
