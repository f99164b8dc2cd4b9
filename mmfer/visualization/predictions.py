"""Faces with a bar of probabilities beside each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

COLUMNS = 4
BARS = 1.15
"""Width of the bars' field, in widths of a face."""


def draw_predictions(
    faces: Sequence[np.ndarray],
    names: Sequence[str],
    scores: Sequence[np.ndarray] | np.ndarray,
    classes: Sequence[str],
    path: str | Path,
    title: str = '',
) -> None:
    """Draws one face large, or several as a contact sheet, each beside its probabilities.

    Args:
        faces: BGR uint8 pictures [H, W, 3], of any sizes.
        names: What to write above each.
        scores: Probabilities [N, K].
        classes: K names.
        path: The PNG to write.
        title: Heading of the sheet.
    """
    scores = np.asarray(scores)
    columns = min(COLUMNS, len(faces))
    rows = math.ceil(len(faces) / columns)
    cell_width, cell_height = 1 + BARS + 0.2, 1.3
    inches = 3.2 if len(faces) == 1 else 1.75
    head = 0.35 if title else 0.05
    figure = Figure(figsize=(inches * columns * cell_width, inches * rows * cell_height + head))
    height = figure.get_size_inches()[1]
    # One axes with everything in it: forty pairs of axes take matplotlib seconds.
    axes = figure.add_axes((0, 0, 1, 1 - head / height))
    axes.set(xlim=(-0.08, columns * cell_width - 0.08), ylim=(rows * cell_height, 0))
    axes.axis('off')
    points = 72 * inches
    bars, colours = [], []
    for i, (face, name, score) in enumerate(zip(faces, names, scores, strict=True)):
        left, top = i % columns * cell_width, i // columns * cell_height + 0.2
        axes.imshow(_square(face), extent=(left, left + 1, top + 1, top), interpolation='bilinear', aspect='auto')
        axes.text(left, top - 0.04, plain(_shorten(name, 34)), size=0.058 * points, va='bottom', color='.25')
        step, best = 1 / len(classes), int(score.argmax())
        for k, (label, value) in enumerate(zip(classes, score, strict=True)):
            y, x = top + (k + 0.5) * step, left + 1.06
            ink, weight = ('.05', 'bold') if k == best else ('.4', 'normal')
            axes.text(x, y, plain(label), size=0.055 * points, va='center', color=ink, weight=weight)
            bars.append(Rectangle((x + 0.46, y - 0.32 * step), 0.44, 0.64 * step))
            colours.append('.95')  # the whole of 100 percent
            bars.append(Rectangle((x + 0.46, y - 0.32 * step), 0.44 * float(value), 0.64 * step))
            colours.append('#4477aa' if k == best else '.75')
            axes.text(
                x + 0.47 + 0.44 * float(value),
                y,
                f' {100 * value:.0f}',
                size=0.05 * points,
                va='center',
                color=ink,
                weight=weight,
            )
    axes.add_collection(PatchCollection(bars, facecolors=colours, edgecolors='none'))
    # imshow resets the limits to its own picture.
    axes.set(xlim=(-0.08, columns * cell_width - 0.08), ylim=(rows * cell_height, 0))
    if title:
        figure.text(0.02, 1 - 0.5 * head / height, plain(title), size=10, va='center')
    write_figure(figure, path)


def _square(face: np.ndarray, side: int = 224) -> np.ndarray:
    """RGB on a white square of at most ``side``, not distorted, never enlarged."""
    scale = min(1, side / max(face.shape[:2]))
    if scale < 1:
        size = max(1, round(face.shape[1] * scale)), max(1, round(face.shape[0] * scale))
        face = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
    height, width = face.shape[:2]
    square = np.full((max(height, width), max(height, width), 3), 255, dtype=np.uint8)
    top, left = (max(height, width) - height) // 2, (max(height, width) - width) // 2
    square[top : top + height, left : left + width] = face[..., ::-1]
    return square


def _shorten(name: str, length: int) -> str:
    return name if len(name) <= length else '…' + name[1 - length :]
