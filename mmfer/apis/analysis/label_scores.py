"""How doubtful labels are, from probabilities that networks gave for faces they were not trained on: pure functions.

Confident learning is `Northcutt et al. 2021 <https://arxiv.org/abs/1911.00068>`_: networks are surer of some classes
than of others, so that a class is believed where its probability reaches what it has on average for the faces with its
label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def self_confidence(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The probability of the observed label, float64 [N].

    Args:
        probs: [N, K].
        labels: Observed class ids [N].
    """
    return probs[np.arange(len(labels)), labels].astype(np.float64)


def thresholds(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean probability of each class over the faces with its label, float64 [K]; eq. 2 of the paper.

    1 for a class that no face has, so that it is hardly ever believed.
    """
    counts = np.bincount(labels, minlength=probs.shape[1])
    sums = np.bincount(labels, weights=self_confidence(probs, labels), minlength=probs.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def confident_labels(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most probable of the classes that reach their threshold, int64 [N]; -1 where none does; eq. 1 of the paper.

    Faces whose confident label is not the observed one are the off-diagonal of the paper's confident joint.
    """
    reached = probs >= thresholds(probs, labels)
    best = np.where(reached, probs, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1)


def class_adjusted(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far the observed label is ahead of the best other one, each measured from the threshold of its class.

    Returns:
        float64 [N], the lower the more doubtful.
    """
    above = probs.astype(np.float64) - thresholds(probs, labels)
    return self_confidence(above, labels) - _others(above, labels).max(axis=1)


def suggested_labels(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most probable class but the observed one, int64 [N]."""
    return _others(probs, labels).argmax(axis=1)


def _others(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.where(np.arange(values.shape[1]) == labels[:, None], -np.inf, values)


def ranks(*keys: np.ndarray) -> np.ndarray:
    """The place of each row in rising order, from 0 (the first) to 1 (the last), float64 [N]; equal rows share theirs.

    Args:
        *keys: What rows are ordered by [N], the first key before the others.
    """
    order = np.lexsort(keys[::-1])
    new = np.zeros(len(order), dtype=bool)
    for key in keys:
        new[1:] |= np.diff(key[order].astype(np.float64)) != 0
    group = np.cumsum(new)
    last = np.cumsum(np.bincount(group, minlength=1)) - 1
    first = np.concatenate([[0], last[:-1] + 1])
    places = np.empty(len(order))
    places[order] = ((first + last) / 2)[group]
    return places / max(len(order) - 1, 1)


def combined(scores: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of the ranks of several scores, float64 [N] from 0 to 1. Ranks have one scale, scores each their own.

    Args:
        scores: Each [N]; nan where a score knows nothing of a face, which then counts with its other scores.
    """
    placed = np.full((len(scores), len(scores[0])), np.nan)
    for place, score in zip(placed, scores, strict=True):
        known = ~np.isnan(score)
        place[known] = ranks(score[known])
    return np.nanmean(placed, axis=0)


def average_precision(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Mean of the share of wrong labels among the most doubtful, over the places at which a wrong one is found.

    Faces of equal doubt are taken together.

    Args:
        doubt: The more, the more doubtful [N].
        wrong: Whether the label is wrong, bool [N]; at least one is.
    """
    order = np.argsort(-doubt, kind='stable')
    found = np.cumsum(wrong[order])
    end = np.append(np.diff(doubt[order]) != 0, True)  # of a group of equals
    found, looked_at = found[end], np.flatnonzero(end) + 1
    return float((np.diff(found, prepend=0) * found / looked_at).sum() / found[-1])
