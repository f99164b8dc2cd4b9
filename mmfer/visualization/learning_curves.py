"""The picture of a run: losses and accuracies by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmfer.visualization.picture_file import write_figure
from mmfer.visualization.texts import plain

COLOURS = ('#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#ee8866', '#44bb99')
INK = '.2'


def draw_learning_curves(report: Mapping[str, Any], path: str | Path) -> None:
    """Draws the loss terms over the epochs and, beneath, accuracy and mean class accuracy.

    The majority-class rate is the floor of the lower panel; the last five epochs, which the protocol averages, are
    shaded; the best epoch is a ring that names the split it was seen on.

    Args:
        report: What :func:`mmfer.evaluation.protocol_report` returns.
        path: The PNG to write.
    """
    figure = Figure(figsize=(8.5, 7), layout='constrained')
    losses, scores = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.15))
    _draw_losses(losses, report['epochs'])
    _draw_scores(scores, report)
    for axes in (losses, scores):
        axes.grid(color='.93')
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
    epochs = [epoch['epoch'] for epoch in report['epochs']]
    scores.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    scores.xaxis.set_major_locator(MaxNLocator(integer=True))
    scores.set_xlabel('epoch')
    figure.suptitle(plain(f'{report["config"]}, seed {report["seed"]}'), size=12)
    write_figure(figure, path)


def _draw_losses(axes: Axes, epochs: Sequence[Mapping[str, Any]]) -> None:
    names = dict.fromkeys(name for epoch in epochs for name in epoch['train'] if 'loss' in name)
    colours = iter(COLOURS * len(names))
    shown = []
    for name in names:
        points = [(epoch['epoch'], epoch['train'][name]) for epoch in epochs if name in epoch['train']]
        total = name == 'loss'
        style = (
            dict(color=INK, linewidth=2.2, label='all terms') if total else dict(color=next(colours), label=plain(name))
        )
        axes.plot(*zip(*points, strict=True), marker='o', markersize=3, **style)
        shown += [value for _, value in points]
    if shown and min(shown) > 0 and max(shown) > 20 * min(shown):
        axes.set_yscale('log')
        axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
    elif shown and min(shown) >= 0:
        axes.set_ylim(bottom=0)
    axes.set_ylabel('training loss (epoch mean)')
    if shown:
        axes.legend(frameon=False, fontsize=9, loc='upper left', bbox_to_anchor=(1, 1))
    else:
        axes.text(
            0.5,
            0.5,
            'the training steps returned no loss terms',
            ha='center',
            va='center',
            color='.5',
            transform=axes.transAxes,
        )


def _draw_scores(axes: Axes, report: Mapping[str, Any]) -> None:
    evaluated = [epoch for epoch in report['epochs'] if 'accuracy' in epoch]
    x = [epoch['epoch'] for epoch in evaluated]
    best, last5 = report['best'], report['last5']
    if len(evaluated) > 5:
        axes.axvspan(last5['epochs'][0] - 0.5, last5['epochs'][-1] + 0.5, color='.95', zorder=0, linewidth=0)
    curves = ('accuracy', 'accuracy', COLOURS[0]), ('mean_class_accuracy', 'mean class accuracy', COLOURS[1])
    for name, title, colour in curves:
        axes.plot(
            x,
            [epoch[name] for epoch in evaluated],
            color=colour,
            linewidth=2,
            marker='o',
            markersize=3.5,
            label=f'{title}\nlast: {report["last"][name]:.1f}, last {len(last5["epochs"])}: {last5[name]:.1f}',
        )
    axes.plot(
        best['epoch'],
        best['accuracy'],
        'o',
        markersize=11,
        markerfacecolor='none',
        markeredgecolor=INK,
        markeredgewidth=1.4,
        linestyle='none',
        label=f'best: {best["accuracy"]:.1f} at epoch {best["epoch"]}\nseen on {best["split"]}',
    )
    axes.axhline(
        report['majority_rate'],
        color='.45',
        linestyle='--',
        linewidth=1.2,
        label=plain(f'always {report["majority_class"]}: {report["majority_rate"]:.1f}'),
    )
    axes.set_ylabel(f'{report["split"]}, {report["faces"]} faces (%)')
    axes.margins(y=0.12)
    axes.legend(frameon=False, fontsize=9, loc='upper left', bbox_to_anchor=(1, 1), labelspacing=0.9)
