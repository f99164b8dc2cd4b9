"""Accuracies of several methods over seeds, in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmfer.visualization.learning_curves import COLOURS, INK
from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain


def draw_seeds(
    panels: Mapping[str, Mapping[str, list[float]]], against: Mapping[str, str | None], title: str, path: str | Path
) -> Path:
    """Draws a panel a setting: a line a method with a dot a seed and a bar at their mean.

    Args:
        panels: Accuracies in percent, one a seed, by setting and method.
        against: Methods from top to bottom, and what each is compared with, whose mean is a dashed line.
        title: Of the picture.
        path: The PNG to write.
    """
    rows = [row for row in against if any(row in methods for methods in panels.values())]
    figure = Figure(figsize=(1.8 + 3.6 * len(panels), 1.3 + 0.32 * len(rows)), layout='constrained')
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, (setting, methods) in zip(axes, panels.items(), strict=True):
        _draw_panel(panel, methods, rows, against)
        panel.set_title(plain(setting), size=10)
        panel.set_xlabel('accuracy, %')
    axes[0].set_yticks(range(len(rows)), [plain(row) for row in rows])
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.suptitle(plain(title), size=12)
    return write_figure(figure, path)


def _draw_panel(
    axes: Axes, methods: Mapping[str, list[float]], rows: list[str], against: Mapping[str, str | None]
) -> None:
    for row, values in methods.items():
        place, other = rows.index(row), against.get(row) or row
        if other in methods:
            axes.plot([fmean(methods[other])] * 2, [place - 0.5, place + 0.5], color='.6', linestyle='--', linewidth=1)
        axes.plot(values, [place] * len(values), 'o', color=COLOURS[0], markersize=5, alpha=0.8)
        axes.plot([fmean(values)] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=2)
    axes.grid(axis='x', color='.93')
    axes.set_axisbelow(True)
    axes.tick_params(axis='y', length=0)
    axes.spines[['top', 'right', 'left']].set_visible(False)
