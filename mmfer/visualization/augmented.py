"""Faces as the network gets them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mmfer.visualization.contact_sheet import draw_contact_sheet
from mmfer.visualization.landmark_sheet import draw_landmarks

_HOT = np.array([255, 40, 0])


class Face(Protocol):
    """What is drawn of a face, see `mmfer.apis.data.browsing.SeenFace`."""

    picture: np.ndarray
    label: int
    clean: int
    row: int
    points: np.ndarray | None
    heatmap: np.ndarray | None


def draw_augmented(faces: Sequence[Face], classes: Sequence[str], path: str | Path, title: str = '') -> Path:
    """Draws faces with their landmarks and, where there are any, once more with the heatmaps laid over.

    Args:
        faces: What to draw.
        classes: K names.
        path: The PNG to write.
        title: Heading.

    Returns:
        The path.
    """
    pictures, captions = [], []
    colours: list[str] = []
    for face in faces:
        points = np.empty((0, 2)) if face.points is None else _near(face.points, face.picture)
        noisy = face.clean not in (-1, face.label)
        caption = f'#{face.row} {classes[face.label]}'
        caption += f'\nclean: {classes[face.clean]}' if noisy else '\nno landmarks' if face.points is None else ''
        pictures.append(draw_landmarks(face.picture, points))
        captions.append(caption)
        if any(other.heatmap is not None for other in faces):
            pictures.append(face.picture if face.heatmap is None else _overlay(face.picture, face.heatmap))
            captions.append('')
        colours += ['#ee6677' if noisy else '.75'] * (len(pictures) - len(colours))
    return draw_contact_sheet(pictures, captions, path, title=title, colours=colours)


def _near(points: np.ndarray, picture: np.ndarray) -> np.ndarray:
    return points[(np.abs(points) < 2 * max(picture.shape[:2])).all(axis=1)]


def _overlay(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Red where the map is 1, the picture where it is 0."""
    return (picture + 0.8 * heat[..., None] * (_HOT - picture)).round().astype(np.uint8)
