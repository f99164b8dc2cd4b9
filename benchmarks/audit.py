"""How well `mmfer audit` finds wrong labels, beside cleanlab on the same out-of-fold predictions.

    python benchmarks/audit.py CONFIG --folds 5          # what `mmfer audit` takes; goes on where it was
    python benchmarks/audit.py configs/baseline/r18_rafdb_96px_12e_sym30.py

The config's data set must know clean labels: it adds label noise, or has a column of them. Figures are over all faces
whose clean label is known, in percent: AUROC (share of pairs of a wrongly and a rightly labelled face in which the
first is the more doubtful) and average precision. They are written to `benchmark.json` in the work folder. cleanlab is
not needed: without it only its rows are missing, and that is said (`pip install cleanlab`).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mmfer.apis.audit.verdict import detection
from mmfer.cli.audit import arguments, configure
from mmfer.cli.audit import main as audit
from mmfer.evaluation import write_report

OURS = ('self_confidence', 'seen_confidence', 'class_adjusted', 'remembered', 'shape', 'combined')
CLEANLAB = {
    'self_confidence': dict(method='self_confidence'),
    'normalized_margin': dict(method='normalized_margin'),
    'confidence_weighted_entropy': dict(method='confidence_weighted_entropy'),
    'self_confidence, adjusted': dict(method='self_confidence', adjust_pred_probs=True),
    'normalized_margin, adjusted': dict(method='normalized_margin', adjust_pred_probs=True),
}
"""What `cleanlab.rank.get_label_quality_scores` is called with."""


def compare(folder: Path, quality: Callable[..., np.ndarray] | None) -> dict[str, dict[str, float]]:
    """Figures of every score of a finished audit, and of cleanlab's on its predictions.

    Args:
        folder: The audit's work folder.
        quality: `cleanlab.rank.get_label_quality_scores`; None where it is not there.

    Raises:
        ValueError: No clean label is known, or all labels are right, or all wrong.
    """
    with open(folder / 'labels.csv', newline='', encoding='utf-8') as stream:
        rows = {row['name']: row for row in csv.DictReader(stream)}
    with np.load(folder / 'cleanlab.npz') as stored:
        labels, probs, names = stored['labels'], stored['pred_probs'], stored['names'].tolist()
    ranked = [rows[name] for name in names]
    known = np.array([row['clean'] != '' for row in ranked])
    wrong = np.array([row['clean'] != row['observed'] for row in ranked])[known]
    if not wrong.any() or wrong.all():
        raise ValueError(f'{folder}/labels.csv does not tell right labels from wrong ones: give a config that does')
    found = {}
    for name in OURS:
        doubt = np.array([float(row.get(name) or 'nan') for row in ranked])
        if not np.isnan(doubt).all():
            found[f'mmfer: {name}'] = detection(doubt[known], wrong)
    for name, settings in CLEANLAB.items() if quality else ():
        found[f'cleanlab: {name}'] = detection(-quality(labels, probs.astype(np.float64), **settings)[known], wrong)
    return found


def main(argv: list[str] | None = None) -> None:
    """Audits, compares, and prints a table."""
    argv = list(sys.argv[1:] if argv is None else argv)
    audit(argv)
    folder = Path(configure(arguments().parse_args(argv)).work_dir)
    quality = None
    if find_spec('cleanlab') is None:
        print('cleanlab is not installed: its rows are missing')
    else:
        from cleanlab.rank import get_label_quality_scores as quality
    found = compare(folder, quality)
    write_report(found, folder / 'benchmark.json')
    print('\n| score | AUROC | average precision |\n|---|---|---|')
    for name, values in found.items():
        print(f'| {name} | {values["auroc"]:.2f} | {values["average_precision"]:.2f} |')


if __name__ == '__main__':
    main()
