"""Attribution maps over faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

GAP, HEAD, SIDE = 0.06, 0.32, 1.15
"""Space between faces and height of the headings, in inches, as is the side of a face."""
COVER = 0.25, 0.5
"""How much of the face the lowest and, in addition, the highest cell covers."""


def draw_attributions(
    faces: Sequence[np.ndarray],
    names: Sequence[str],
    prior: np.ndarray,
    maps: Mapping[str, np.ndarray],
    agreement: Mapping[str, Sequence[float]],
    path: str | Path,
    title: str = '',
) -> Path:
    """Draws a row for each face: the face, the landmark prior, and attribution maps, laid over it.

    Every map is scaled from its lowest cell to its highest one.

    Args:
        faces: N pictures, RGB uint8 [H, W, 3].
        names: What to write beside each.
        prior: [N, h, w].
        maps: Heading to [N, h', w'].
        agreement: Heading to the correlation of each map with the prior, N numbers.
        path: The PNG to write; its folder is made.
        title: Heading.

    Returns:
        The path.
    """
    columns = {'face': None, 'landmark prior': prior, **maps}
    label, head = 0.72, HEAD + (0.25 if title else 0)
    width, height = label + len(columns) * (SIDE + GAP) + GAP, head + len(faces) * (SIDE + GAP)
    # A Figure of its own, without pyplot, and one axes with everything in it: many axes take matplotlib seconds.
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    for row, (face, name) in enumerate(zip(faces, names, strict=True)):
        top = head + row * (SIDE + GAP)
        axes.text(label - 0.08, top + SIDE / 2, plain(name), size=7.5, ha='right', va='center', color='.25')
        for column, (heading, values) in enumerate(columns.items()):
            left = label + column * (SIDE + GAP)
            where: dict[str, Any] = dict(extent=(left, left + SIDE, top + SIDE, top), aspect='auto')
            if values is None:
                axes.imshow(face, interpolation='bilinear', **where)
                continue
            # Pale, so that a dark face does not pass for a low cell.
            axes.imshow(
                0.35 + 0.65 * face.mean(-1) / 255, cmap='gray', vmin=0, vmax=1, interpolation='bilinear', **where
            )
            heat = _enlarged(values[row], face.shape[:2])
            axes.imshow(heat, cmap='inferno', vmin=0, vmax=1, alpha=COVER[0] + COVER[1] * heat, **where)
            if heading in agreement:
                axes.text(
                    left + 0.05,
                    top + SIDE - 0.05,
                    f'{agreement[heading][row]:+.2f}',
                    size=7,
                    color='white',
                    va='bottom',
                )
    for column, heading in enumerate(columns):
        text = heading
        if heading in agreement:
            text += f'\nagreement {np.nanmean(agreement[heading]):+.2f}'
        axes.text(
            label + column * (SIDE + GAP) + SIDE / 2,
            head - 0.05,
            plain(text),
            size=7.5,
            ha='center',
            va='bottom',
            linespacing=1.1,
            color='.25',
        )
    if title:
        axes.text(GAP, 0.15, plain(title), size=9, va='center')
    axes.set(xlim=(0, width), ylim=(height, 0))  # after imshow, which sets them to its picture
    axes.axis('off')
    return write_figure(figure, path)


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map from 0 to 1 in the size of its picture, smooth through the centres of its cells."""
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return cv2.resize(scaled.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
