"""Where labels went: matrices of observed against other labels, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

CELL, GAP, NAMES, HEAD, FOOT = 0.62, 0.3, 1.5, 0.65, 0.85
"""In inches: side of a cell, space between panels, width of the class names, heights of headings and names below."""


def draw_label_noise(
    panels: Mapping[str, np.ndarray], classes: Sequence[str], path: str | Path, title: str = ''
) -> Path:
    """Draws how many faces of each observed class have which other label.

    Numbers are percent of the row, faces beneath; the colour shows what left the diagonal, which is most of the rows
    and would outshine it.

    Args:
        panels: Heading to counts [K, K]; rows are observed labels, columns are those that the heading names.
        classes: K names.
        path: The PNG to write; its folder is made.
        title: Heading of the picture.

    Returns:
        The path.
    """
    classes = [plain(name) for name in classes]
    k = len(classes)
    side = CELL * k
    figure = Figure(figsize=(max(NAMES + len(panels) * (side + GAP), 0.085 * len(title)), HEAD + side + FOOT))
    width, height = figure.get_size_inches()
    most = max([0.01, *((_shares(counts) * (1 - np.eye(k))).max() for counts in panels.values())])
    for i, (heading, counts) in enumerate(panels.items()):
        axes = figure.add_axes(((NAMES + i * (side + GAP)) / width, FOOT / height, side / width, side / height))
        _draw_cells(axes, np.asarray(counts), most)
        axes.set_title(plain(heading), size=9.5)
        axes.set_xticks(range(k), classes, rotation=35, ha='right', rotation_mode='anchor', size=8.5)
        rows = [f'{name} ({count:,})' for name, count in zip(classes, np.asarray(counts).sum(1), strict=True)]
        axes.set_yticks(range(k), rows if i == 0 else [''] * k, size=8.5)
    figure.text(0.12 / width, 1 - 0.2 / height, plain(title), size=9.5, va='center')
    return write_figure(figure, path)


def _draw_cells(axes: Axes, counts: np.ndarray, most: float) -> None:
    k, shares = len(counts), _shares(counts)
    away = np.where(np.eye(k, dtype=bool), np.nan, shares)
    axes.imshow(np.ma.masked_invalid(away), cmap='OrRd', vmin=0, vmax=most)
    for row in range(k):
        axes.add_patch(Rectangle((row - 0.5, row - 0.5), 1, 1, facecolor='.9', edgecolor='none'))
        for column in range(k):
            if counts[row, column]:
                dark = row != column and shares[row, column] > 0.6 * most
                ink = 'white' if dark else '.15'
                axes.text(
                    column,
                    row - 0.1,
                    f'{100 * shares[row, column]:.0f}',
                    ha='center',
                    va='center',
                    color=ink,
                    size=10,
                    weight='bold' if row == column else 'normal',
                )
                axes.text(column, row + 0.26, f'{counts[row, column]:,}', ha='center', va='center', color=ink, size=6.5)
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which='minor', color='white', linewidth=1.5)
    axes.tick_params(which='both', length=0)
    axes.spines[:].set_visible(False)


def _shares(counts: np.ndarray) -> np.ndarray:
    counts = np.asarray(counts)
    return counts / np.maximum(counts.sum(1), 1)[:, None]
