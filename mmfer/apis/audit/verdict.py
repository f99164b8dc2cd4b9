"""From evidence to faces in the order of doubt, and to the labels that are changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mmfer.apis.analysis.beliefs import Beliefs
from mmfer.apis.analysis.label_scores import (
    average_precision,
    class_adjusted,
    combined,
    confident_labels,
    self_confidence,
    suggested_labels,
)
from mmfer.apis.audit.evidence import Evidence
from mmfer.apis.audit.shapes import shape_doubts
from mmfer.datasets import FaceDataset
from mmfer.engine.hooks.noise_report import auroc
from mmfer.structures.ranges import check_range


@dataclass(frozen=True)
class Verdict:
    """What an audit says of every label, by row of the training set.

    Args:
        beliefs: As of a run: `believed` is the suggested label where the label is changed, else the observed one,
            `trust` is 1 - the combined doubt, `probs` are of networks that were not trained on the face.
        suggested: The best label but the observed one [N].
        doubts: By name of the score, the more the more doubtful [N]; `combined` is the last.
        fold: In which the face was held out [N].
    """

    beliefs: Beliefs
    suggested: np.ndarray
    doubts: dict[str, np.ndarray]
    fold: np.ndarray


def judge(dataset: FaceDataset, evidence: Evidence, fix: int | None = None) -> Verdict:
    """Ranks all faces by how doubtful their label is, and changes the labels of the most doubtful.

    Args:
        dataset: All training faces.
        evidence: Of their folds.
        fix: Change the labels of that many, the most doubtful. Defaults to None: where the network that does not know
            the face predicts another class, which is its confident label and more probable than all others together,
            and those that were trained on the face predict it, too. Confident learning alone would change half of all
            labels where networks have learnt little.

    Raises:
        ValueError: `fix` is more than there are.
    """
    observed, probs = dataset.get_gt_labels(), evidence.probs
    suggested = suggested_labels(probs, observed)
    known, unknown = 1 - self_confidence(evidence.seen, observed), 1 - self_confidence(probs, observed)
    # Adjusted and remembered doubts are left out of the combination, which they made worse wherever it was measured.
    doubts = {'self_confidence': unknown, 'seen_confidence': known, 'class_adjusted': -class_adjusted(probs, observed)}
    if evidence.remembered is not None:
        doubts['remembered'] = evidence.remembered
    shape = shape_doubts(dataset, evidence.fold)
    if shape is not None:
        doubts['shape'] = shape
    doubts['combined'] = combined([unknown, known, *([] if shape is None else [shape])])
    if fix is None:
        best = probs.argmax(axis=1)
        sure = (confident_labels(probs, observed) == best) & (probs.max(axis=1) > 0.5)
        changed = np.flatnonzero(sure & (evidence.seen.argmax(axis=1) == best) & (best != observed))
    else:
        check_range('--fix', fix, 0, len(observed), whole=True)
        changed = np.argsort(-doubts['combined'], kind='stable')[:fix]
    believed = observed.copy()
    believed[changed] = suggested[changed]
    beliefs = Beliefs(
        classes=tuple(dataset.metainfo['classes']),
        names=dataset.columns['name'].tolist(),
        observed=observed,
        believed=believed,
        trust=1 - doubts['combined'],
        probs=probs,
        clean=dataset.get_clean_labels(),
        sources=dict(believed='out of fold', trust='combined', probs='out of fold'),
        seen=np.ones(len(observed), dtype=bool),
    )
    return Verdict(beliefs, suggested, doubts, evidence.fold)


def figures(verdict: Verdict) -> dict[str, dict[str, float]]:
    """How well each score finds wrong labels, where clean ones are known.

    Returns:
        By score `auroc` (share of pairs in which the wrongly labelled face is the more doubtful) and
        `average_precision`, in percent; {} where no clean label is known, or all are right, or all wrong.
    """
    beliefs = verdict.beliefs
    known = beliefs.clean >= 0
    wrong = (beliefs.clean != beliefs.observed)[known]
    if not wrong.any() or wrong.all():
        return {}
    return {name: detection(doubt[known], wrong) for name, doubt in verdict.doubts.items()}


def detection(doubt: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """AUROC and average precision, in percent.

    Args:
        doubt: The more, the more doubtful [N]; nan, where nothing is known of a face, counts as the median.
        wrong: Whether the label is wrong, bool [N]; some are, and some are not.
    """
    doubt = np.nan_to_num(doubt, nan=float(np.nanmedian(doubt)))
    pairs = auroc(torch.as_tensor(doubt[wrong]), torch.as_tensor(doubt[~wrong]))
    return dict(auroc=100 * pairs, average_precision=100 * average_precision(doubt, wrong))
