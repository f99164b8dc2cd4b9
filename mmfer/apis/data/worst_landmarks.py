"""A picture of the faces whose landmarks are the least certain."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmfer.apis.data.image_folder import read_or_reason
from mmfer.datasets.landmarks.landmark_file import LandmarkFile
from mmfer.datasets.reading.csv_cells import read_csv_rows
from mmfer.visualization import draw_landmark_sheet

SHEET = 32
"""Faces of the picture."""
FACELESS = 'no face found'
"""The reason of a failure that an image without a face has."""


def draw_worst(folder: Path, faces: LandmarkFile, failures: Path, path: Path) -> None:
    """Draws the faces with the lowest scores; half of the sheet is for images without a face, where there are so many.

    Args:
        folder: Of the images.
        faces: What was found in each.
        failures: The csv of images without landmarks, with the reason; it may be gone.
        path: The PNG to write; none is written where no image can be read.
    """
    reason_of = {row[0]: row[1] for row in read_csv_rows(failures)} if failures.exists() else {}
    reasons = np.array([reason_of.get(name, '') for name in faces.names.tolist()])
    faceless = np.flatnonzero(reasons == FACELESS)[: SHEET // 2]
    found = np.flatnonzero(reasons == '')
    worst = found[faces.score[found].argsort(kind='stable')][: SHEET - len(faceless)]
    rows = [*faceless, *worst]
    images = [read_or_reason(folder / faces.names[row])[0] for row in rows]
    shown = [(row, image[..., ::-1]) for row, image in zip(rows, images, strict=True) if image is not None]
    if shown:
        title = f'{folder}: no face in {(reasons == FACELESS).sum():,} of {len(reasons):,} images; the lowest scores'
        draw_landmark_sheet(
            [image for _, image in shown],
            [faces.points[row] for row, _ in shown],
            [faces.score[row] for row, _ in shown],
            [str(faces.names[row]) for row, _ in shown],
            path,
            title,
        )
