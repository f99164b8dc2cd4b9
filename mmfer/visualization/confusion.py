"""The picture of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from mmfer.evaluation.confusion import summarise
from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain


def draw_confusion_matrix(confusion: ArrayLike, classes: Sequence[str], path: str | Path, title: str = '') -> None:
    """Draws row percentages as colour and number, with the counts beneath.

    Rows sum to 100, so the diagonal is the recall of each class and a rare class is as visible as a common one.
    A class without faces is a grey row.

    Args:
        confusion: Counts [K, K], rows are observed labels.
        classes: K names.
        path: The PNG to write.
        title: First line of the heading; the figures are the second.
    """
    confusion = np.asarray(confusion)
    total, k = confusion.sum(1), len(classes)
    share = 100 * confusion / np.maximum(total, 1)[:, None]
    side = 0.92 * k + 2.2
    # A Figure of its own, without pyplot: no global state and no display needed, in a training process least of all.
    figure = Figure(figsize=(max(side, 5.5), max(side - 0.6, 4.9)), layout='constrained')
    axes = figure.add_subplot()
    axes.imshow(share, cmap='Blues', vmin=0, vmax=100)
    for row in range(k):
        if total[row] == 0:
            axes.add_patch(Rectangle((-0.5, row - 0.5), k, 1, facecolor='.92', edgecolor='none'))
            axes.text((k - 1) / 2, row, 'no faces', ha='center', va='center', color='.4')
            continue
        for column in range(k):
            colour = 'white' if share[row, column] > 55 else '.15' if confusion[row, column] else '.7'
            weight = 'bold' if row == column else 'normal'
            axes.text(
                column,
                row - 0.08,
                f'{share[row, column]:.0f}',
                ha='center',
                va='center',
                color=colour,
                weight=weight,
                size=12,
            )
            axes.text(column, row + 0.26, f'{confusion[row, column]}', ha='center', va='center', color=colour, size=7.5)
    names = [plain(name) for name in classes]
    axes.set_xticks(range(k), names, rotation=35, ha='right', rotation_mode='anchor')
    axes.set_yticks(range(k), [f'{name} ({count})' for name, count in zip(names, total, strict=True)])
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which='minor', color='white', linewidth=1.5)
    axes.tick_params(which='both', length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel('predicted (percent of the row; faces beneath)')
    axes.set_ylabel('labelled (faces)')
    figures = summarise(confusion, classes)
    heading = f'accuracy {figures["accuracy"]:.1f}   mean class accuracy {figures["mean_class_accuracy"]:.1f}'
    figure.suptitle(plain(f'{title}\n{heading}' if title else heading), size=11)
    write_figure(figure, path)
