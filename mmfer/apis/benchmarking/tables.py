"""The tables of a grid, in Markdown, from the results that are there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmfer.apis.benchmarking.grid import Grid
from mmfer.apis.benchmarking.intervals import Estimate, estimate, paired
from mmfer.apis.benchmarking.results import read_result

FIGURES = {
    'accuracy': 'accuracy',
    'mean_class_accuracy': 'mean class',
    'macro_f1': 'macro F1',
    'calibration_error': 'calibration error',
    'nll': '-log likelihood',
}
"""Means over the last five epochs, by their names in `metrics.json`."""
TELLS = (
    'relabel_to_clean',
    'relabel_mended',
    'distribution_top1',
    'distribution_to_clean',
    'importance_auc',
    'reliability_auc',
)
"""What a run knows of wrong labels, of its last epoch."""

Results = Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]]
"""By setting and row, then seed."""


def read_results(folder: str | Path, grid: Grid) -> dict[tuple[str, str], dict[int, dict[str, Any]]]:
    """All that have finished."""
    results: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for run in grid.runs():
        result = read_result(folder, grid, run)
        if result is not None:
            results.setdefault((run.setting, run.row), {})[run.seed] = result
    return results


def of_seeds(results: Results, setting: str, row: str, name: str, when: str = 'last5') -> dict[int, float]:
    """A figure by seed."""
    runs = results.get((setting, row), {})
    return {seed: run['figures'][when][name] for seed, run in runs.items() if name in run['figures'][when]}


def grid_tables(grid: Grid, results: Results, typed: str) -> str:
    """A section: a table for each setting, on what it was computed, and how to repeat it.

    Args:
        grid: The grid.
        results: Of `read_results`.
        typed: The command that trains the grid.
    """
    parts = [f'{grid.note.strip()}\n' if grid.note else '']
    for setting in grid.settings:
        rows = [row for row in grid.rows if (setting, row) in results]
        parts.append((f'**{setting}**\n\n' if setting else '') + _table(grid, results, setting, rows))
    parts.append(_footing(grid, results, typed))
    return '\n'.join(part for part in parts if part)


def _table(grid: Grid, results: Results, setting: str, rows: Sequence[str]) -> str:
    if not rows:
        return 'No run has finished yet.\n'
    there = [name for name in FIGURES if any(of_seeds(results, setting, row, name) for row in rows)]
    heads = ['', 'seeds', *(FIGURES[name] for name in there), 'last', 'best', 'accuracy against', 'what the run knows']
    lines = [_line(heads), '|---' * len(heads) + '|']
    for row in rows:
        cells = [row, str(len(results[setting, row]))]
        for name in there:
            values = of_seeds(results, setting, row, name)
            cells.append(_spread(estimate(list(values.values())), 3 if name == 'nll' else 2) if values else '')
        for when in ('last', 'best'):
            cells.append(_spread(estimate(list(of_seeds(results, setting, row, 'accuracy', when).values())), 2))
        lines.append(_line([*cells, _against(grid, results, setting, row), _tells(results, setting, row)]))
    return '\n'.join(lines) + '\n'


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'


def _spread(value: Estimate, digits: int) -> str:
    return f'{value.mean:.{digits}f}' + ('' if value.deviation is None else f' ± {value.deviation:.{digits}f}')


def _against(grid: Grid, results: Results, setting: str, row: str) -> str:
    other = grid.rows[row].against
    if other is None:
        return ''
    gain = paired(*(of_seeds(results, setting, name, 'accuracy') for name in (row, other)))
    if gain is None:
        return f'{other}: no seed in common'
    within = '' if gain.half is None else f' [{gain.mean - gain.half:+.1f}, {gain.mean + gain.half:+.1f}]'
    return f'{other}: {gain.mean:+.2f}{within}'


def _tells(results: Results, setting: str, row: str) -> str:
    said = []
    for name in TELLS:
        values = of_seeds(results, setting, row, name, 'last')
        if values:
            said.append(f'{name} {estimate(list(values.values())).mean:.1f}')
    return ', '.join(said)


def _footing(grid: Grid, results: Results, typed: str) -> str:
    runs = [run for of_row in results.values() for run in of_row.values()]
    if not runs:
        return f'`{typed}`'
    faces, rate = runs[0]['figures']['faces'], runs[0]['figures']['majority_rate']
    half = 100 * 1.96 * math.sqrt(0.7 * 0.3 / faces)
    devices = Counter(_as_cell(run) for run in runs)
    timed = [run['seconds'] for run in runs if run['seconds'] is not None]
    on = '; '.join(f'{count} on {device}' for device, count in sorted(devices.items()))
    means = (
        f'Means of the last five epochs on {faces:,} faces of {runs[0]["figures"]["split"]} (largest class '
        f'{rate:.1f} %), ± the standard deviation over seeds; differences are of the same seeds, in brackets their '
        f"95 % interval by Student's t. `last` and `best` are accuracies of the last epoch and of the best on these "
        f'faces, which is hindsight. Another {faces:,} faces would move an accuracy near 70 % by up to {half:.1f} '
        'points (95 %).'
    )
    hours = f'; {len(timed)} of them took {sum(timed) / 3600:.1f} hours' if timed else ''
    return f'{means} {len(runs)} of {len(grid.runs())} runs: {on}{hours}. `{typed}`\n'


def _as_cell(run: Mapping[str, Any]) -> str:
    return f'{run["device"]} (torch {run["software"]["torch"]}, code {run["commit"] or "unknown"})'
