"""Faces beside their nearest others and what is believed about their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmfer.visualization.learning_curves import COLOURS
from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

ROW, GAP, BETWEEN, NAMES, BARS, MARKS = 1.36, 0.08, 0.3, 0.78, 1.1, 1.25
"""In inches, the side of a face: a row; space between faces and between groups; the chart's names, bars and marks."""


@dataclass(frozen=True)
class LabelledFace:
    """A picture with what is known of its label.

    Args:
        picture: RGB uint8 [H, W, 3].
        label: Observed class id.
        clean: Class id before noise was added, -1 where unknown.
        name: To be written in front of the label.
        truth: True shares of the classes [K], where known.
    """

    picture: np.ndarray
    label: int
    clean: int = -1
    name: str = ''
    truth: np.ndarray | None = None


def draw_neighbours(
    faces: Sequence[LabelledFace],
    groups: Mapping[str, Sequence[Sequence[LabelledFace]]],
    distribution: np.ndarray,
    classes: Sequence[str],
    path: str | Path,
    chart: str = 'label distribution, %',
    title: str = '',
) -> Path:
    """Draws a row for each face: the face, groups of other faces, and a bar chart of its label distribution.

    Every class has a colour: frames show the observed label of a face, bars the share of a class. Where the true share
    is known it is a black tick.

    Args:
        faces: n faces.
        groups: Heading to the other faces of each row, n lists.
        distribution: [n, K].
        classes: K names.
        path: The PNG to write; its folder is made.
        chart: Heading of the bar charts.
        title: Heading of the picture.

    Returns:
        The path.
    """
    lefts, left = {}, 1 + BETWEEN
    for heading, others in groups.items():
        lefts[heading] = left
        left += max(map(len, others)) * (1 + GAP) - GAP + BETWEEN
    head = 0.3 + (0.25 if title else 0)
    width, height = left + NAMES + BARS + MARKS, len(faces) * ROW + head
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))  # one axes with everything in it, see draw_predictions
    for i, face in enumerate(faces):
        top = head + i * ROW
        _draw_face(axes, face, GAP, top, classes, main=True)
        for heading, x in lefts.items():
            for j, other in enumerate(groups[heading][i]):
                _draw_face(axes, other, x + j * (1 + GAP), top, classes)
        _draw_bars(axes, face, distribution[i], left + NAMES, top, classes)
    for heading, x in {'face': GAP, **lefts, chart: left}.items():
        axes.text(x, head - 0.08, plain(heading), size=8, va='bottom', color='.25')
    if title:
        axes.text(GAP, 0.12, plain(title), size=9, va='center')
    axes.set(xlim=(0, width), ylim=(height, 0))  # after imshow, which sets them to its picture
    axes.axis('off')
    return write_figure(figure, path)


def _colour(label: int) -> str:
    return COLOURS[label % len(COLOURS)]


def _draw_face(axes: Axes, face: LabelledFace, x: float, y: float, classes: Sequence[str], main: bool = False) -> None:
    axes.imshow(face.picture, extent=(x, x + 1, y + 1, y), interpolation='bilinear', aspect='auto')
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=_colour(face.label), linewidth=3.4 if main else 1.8))
    text = f'{face.name} {classes[face.label]}'.strip()
    if face.clean not in (-1, face.label):
        text += f'\nclean: {classes[face.clean]}'
    ink = '.1' if main else '.35'
    axes.text(x + 0.5, y + 1.04, plain(text), size=6.6, ha='center', va='top', color=ink, linespacing=1.1)


def _draw_bars(axes: Axes, face: LabelledFace, shares: np.ndarray, x: float, y: float, classes: Sequence[str]) -> None:
    step = 1 / len(classes)
    size = min(6.3, 60 * step)
    bars = []
    for k, (name, share) in enumerate(zip(classes, shares, strict=True)):
        middle = y + (k + 0.5) * step
        marks = [mark for mark, label in (('observed', face.label), ('clean', face.clean)) if label == k]
        weight, ink = ('bold', '.1') if marks else ('normal', '.4')
        axes.text(x - 0.05, middle, plain(name), size=size, ha='right', va='center', color=ink, weight=weight)
        for length, fill in ((1, '.95'), (float(share), _colour(k))):
            bars.append(Rectangle((x, middle - 0.36 * step), BARS * length, 0.72 * step, facecolor=fill))
        if face.truth is not None and face.truth[k] > 0:
            true = x + BARS * float(face.truth[k])
            axes.plot([true, true], [middle - 0.45 * step, middle + 0.45 * step], color='.1', linewidth=1.4)
        says = f'{100 * share:.0f}' + (f'  ◂ {", ".join(marks)}' if marks else '')
        axes.text(x + BARS + 0.04, middle, says, size=size, va='center', color=ink, weight=weight)
    axes.add_collection(PatchCollection(bars, match_original=True, edgecolors='none'))
