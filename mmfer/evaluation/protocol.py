"""What a run reports: every epoch, and at the end the last, the mean of the last five, and the best named as such.

Papers in this field often print the best epoch on the test set, which is a choice made with the test labels. Here the
three figures stand side by side and the best one always says on which split it was seen and whether it was used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmfer.evaluation.confusion import majority_class
from mmfer.structures.whole_files import written_whole

HEADLINE = {'accuracy': 'accuracy', 'mean_class_accuracy': 'mean class accuracy', 'macro_f1': 'macro F1'}
CONFIDENCE = {'calibration_error': 'calibration error', 'nll': '-log likelihood, in nats'}
"""Figures of which less is better."""


def protocol_report(
    records: Sequence[Mapping[str, Any]],
    *,
    config: str,
    seed: int | None,
    split: str,
    classes: Sequence[str],
    confusion: Sequence[Sequence[int]],
    select_on: str | None = None,
    metric: str = 'accuracy',
) -> dict[str, Any]:
    """Gathers a run's history into the content of ``metrics.json``.

    Args:
        records: One dict an epoch, in order: ``epoch``, ``iter``, ``train`` (mean of each scalar the steps returned)
            and ``metrics`` (empty where the epoch was not evaluated).
        config: Name of the config.
        seed: Seed of the run.
        split: Split that was evaluated.
        classes: K names.
        confusion: Counts [K, K] of the last evaluation, rows are observed labels.
        select_on: The split that was allowed to choose an epoch, or None.
        metric: What 'best' means.

    Returns:
        A dict of plain numbers, strings, lists and dicts. ``last``, ``last5`` and ``best`` hold every metric of the
        last evaluated epoch, its mean over the last five, and those of the first epoch with the highest ``metric``.
    """
    counts = np.asarray(confusion)
    majority, rate = majority_class(counts)
    evaluated = [record for record in records if record['metrics']]
    best = max(evaluated, key=lambda record: record['metrics'][metric])  # max() keeps the first of equals
    last, last5 = evaluated[-1], evaluated[-5:]
    return dict(
        config=config,
        seed=seed,
        select_on=select_on,
        split=split,
        faces=int(counts.sum()),
        majority_class=classes[majority],
        majority_rate=rate,
        last=dict(epoch=last['epoch'], **last['metrics']),
        last5=dict(epochs=[record['epoch'] for record in last5], **_mean([record['metrics'] for record in last5])),
        best=dict(epoch=best['epoch'], split=split, by=metric, selected=select_on is not None, **best['metrics']),
        classes=list(classes),
        confusion_matrix=counts.tolist(),
        epochs=[dict(epoch=r['epoch'], iter=r['iter'], **r['metrics'], train=dict(r['train'])) for r in records],
    )


def _mean(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = [name for name in metrics[-1] if all(name in values for values in metrics)]
    return {name: math.fsum(values[name] for values in metrics) / len(metrics) for name in names}


def write_report(report: Mapping[str, Any], path: str | Path) -> None:
    """Writes JSON that a person can read too: one line a key, one line an epoch; a NaN is written as null."""
    report = _plain(report)
    lines = []
    for key, value in report.items():
        if key == 'epochs':
            text = '[\n  ' + ',\n  '.join(json.dumps(epoch) for epoch in value) + '\n ]'
        else:
            text = json.dumps(value)
        lines.append(f' {json.dumps(key)}: {text}')
    with written_whole(path, encoding='utf-8') as stream:
        stream.write('{\n' + ',\n'.join(lines) + '\n}\n')


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_table(report: Mapping[str, Any]) -> str:
    """The end of a run as text: the three figures side by side, the majority-class rate, recalls of the last epoch."""
    last, last5, best = report['last'], report['last5'], report['best']
    epochs = last5['epochs']
    use = 'chosen there' if best['selected'] else 'hindsight, chose nothing'
    heads = f'last ({last["epoch"]})', f'mean of {len(epochs)}', f'best ({best["epoch"]})'
    lines = [
        f'{report["config"]}, seed {report["seed"]}: {report["faces"]} faces of {report["split"]}, percent',
        f'{"":28}' + ''.join(f'{head:>14}' for head in heads),
    ]
    lines += [
        f'{title:28}' + ''.join(f'{figures[name]:14.2f}' for figures in (last, last5, best))
        for name, title in {**HEADLINE, **CONFIDENCE}.items()
        if name in last5  # epochs of earlier versions have no calibration
    ]
    majority = f'majority class ({report["majority_class"]})'
    lines.append(f'{majority:28}{report["majority_rate"]:14.2f}')
    recalls = {name.removeprefix('recall/'): value for name, value in last.items() if name.startswith('recall/')}
    lines.append('recall (last): ' + ', '.join(f'{name} {value:.1f}' for name, value in recalls.items()))
    lines.append(
        f'mean over epochs {epochs[0]}-{epochs[-1]}; best is epoch {best["epoch"]} by {best["by"]} '
        f'on {best["split"]} ({use})'
    )
    return '\n'.join(lines)
