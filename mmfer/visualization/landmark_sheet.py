"""Faces with their landmarks drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmfer.visualization.contact_sheet import draw_contact_sheet

_DOT = (80, 255, 80)


def draw_landmarks(image: np.ndarray, points: np.ndarray, side: int = 224) -> np.ndarray:
    """Draws points on a copy of an image.

    Args:
        image: RGB uint8 [H, W, 3].
        points: [L, 2], (x, y) in its pixels with centres at integers.
        side: Longer side of the result, so that dots have one size.

    Returns:
        RGB uint8.
    """
    scale = side / max(image.shape[:2])
    picture = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    sixteenths = np.rint(((points + 0.5) * scale - 0.5) * 16).astype(int)
    for x, y in sixteenths.tolist():
        cv2.circle(picture, (x, y), 26, _DOT, cv2.FILLED, cv2.LINE_AA, shift=4)
    return picture


def draw_landmark_sheet(
    images: Sequence[np.ndarray],
    points: Sequence[np.ndarray],
    score: Sequence[float],
    names: Sequence[str],
    path: str | Path,
    title: str = '',
) -> Path:
    """Draws faces side by side with their points, name and score; those of score 0 without points.

    Args:
        images: RGB uint8 [H, W, 3], of any sizes.
        points: [L, 2] for each image, in its pixels.
        score: Of each face.
        names: Of each face; the end is shown where one is long.
        path: The PNG to write.
        title: Heading.

    Returns:
        The path.
    """
    faces = [
        draw_landmarks(image, xy if value > 0 else np.empty((0, 2)))
        for image, xy, value in zip(images, points, score, strict=True)
    ]
    captions = [
        f'{name if len(name) < 24 else "…" + name[-22:]}\n' + (f'{value:.2f}' if value > 0 else 'no face')
        for name, value in zip(names, score, strict=True)
    ]
    return draw_contact_sheet(faces, captions, path, title=title)
