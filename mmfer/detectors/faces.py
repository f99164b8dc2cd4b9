"""Where faces lie in pictures: what face detectors give, and what all of them need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np


class Faces(NamedTuple):
    """The faces of a picture.

    Args:
        boxes: float64 [F, 4], left, top, right, bottom in its pixels.
        score: float64 [F], how sure the detector is; it ranks what one detector found, and is no probability.
        points: float64 [F, 5, 2], centres of the eyes, tip of the nose, corners of the mouth, each pair from left to
            right in the picture; None where the detector gives none.
    """

    boxes: np.ndarray
    score: np.ndarray
    points: np.ndarray | None = None


NO_FACES = Faces(np.empty((0, 4)), np.empty(0))


def sound(faces: Faces) -> Faces:
    """Those whose boxes are finite and have an area."""
    boxes = faces.boxes
    keep = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    return Faces(boxes[keep], faces.score[keep], None if faces.points is None else faces.points[keep])


def search_at(
    images: Sequence[np.ndarray], find: Callable[[list[np.ndarray]], list[Faces]], largest: int, enlarge: float = 1
) -> list[Faces]:
    """Searches pictures at another size, and answers in their own pixels.

    Args:
        images: uint8 [H, W, 3] of any sizes.
        find: Finds the faces of the resized ones.
        largest: Longer side at most; the cost of a search grows with the area.
        enlarge: How many times larger a picture becomes where `largest` allows it: detectors do not see small faces.
    """
    scales = [min(enlarge, largest / max(image.shape[:2])) for image in images]
    searched = [
        image
        if scale == 1
        else cv2.resize(
            image,
            [max(1, round(side * scale)) for side in image.shape[1::-1]],  # a thin one keeps a row
            interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
        )
        for image, scale in zip(images, scales, strict=True)
    ]
    return [
        sound(Faces(found.boxes / scale, found.score, None if found.points is None else found.points / scale))
        for found, scale in zip(find(searched), scales, strict=True)
    ]


def main_face(boxes: np.ndarray, shape: tuple[int, ...]) -> int:
    """Which box [F, 4] of a picture [H, W] is its main face: large and central.

    It has the greatest area less twice the squared distance of its centre from that of the picture, as FaceNet's
    alignment chooses.
    """
    off_centre = (boxes[:, :2] + boxes[:, 2:]) / 2 - (shape[1] / 2, shape[0] / 2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return int((area - 2 * np.square(off_centre).sum(1)).argmax())
