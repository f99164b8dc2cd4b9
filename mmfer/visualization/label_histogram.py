"""The picture of a dataset's labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

COLOURS = ('#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377')


def draw_label_histogram(counts: Mapping[str, Mapping[str, int]], path: str | Path, title: str = '') -> Path:
    """Draws the share of every class in each dataset, with the number of faces at the bar.

    Args:
        counts: Faces of each class by name, by name of the dataset.
        path: The PNG to write; its folder is made.
        title: Heading.

    Returns:
        The path.
    """
    classes = list(dict.fromkeys(name for of in counts.values() for name in of))
    figure = Figure(figsize=(max(5.5, 1 + 1.1 * len(classes) * max(1, len(counts) / 2)), 3.6), layout='constrained')
    axes = figure.add_subplot()
    width = 0.84 / len(counts)
    for i, (name, of) in enumerate(counts.items()):
        total = max(sum(of.values()), 1)
        x = np.arange(len(classes)) + (i - (len(counts) - 1) / 2) * width
        bars = axes.bar(
            x,
            [100 * of.get(label, 0) / total for label in classes],
            0.94 * width,
            color=COLOURS[i % len(COLOURS)],
            label=plain(f'{name} ({total:,})'),
        )
        axes.bar_label(bars, [f'{of.get(label, 0):,}' for label in classes], size=7, padding=1, color='.3')
    axes.set_xticks(range(len(classes)), [plain(name) for name in classes], size=9)
    axes.set_ylabel('% of the set (faces at the bar)')
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(axis='x', length=0)
    axes.legend(frameon=False, fontsize=9)
    if title:
        axes.set_title(plain(title), size=10, loc='left')
    return write_figure(figure, path)
