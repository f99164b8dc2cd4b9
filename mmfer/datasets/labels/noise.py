"""Label noise for experiments: pure functions from labels to labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from mmfer.datasets.labels.schema import canonical
from mmfer.structures.ranges import check_range

CONFUSED_WITH = {
    'anger': 'disgust',
    'disgust': 'anger',
    'fear': 'surprise',
    'happiness': 'neutral',
    'sadness': 'neutral',
    'surprise': 'anger',
    'neutral': 'sadness',
}
"""Asymmetric noise of `LA-Net <https://arxiv.org/abs/2307.09023>`_; contempt is not part of it and stays."""


def noisy_labels(
    labels: np.ndarray, classes: Sequence[str], kind: str, rate: float, seed: int = 0, confusions: Any = None
) -> np.ndarray:
    """Labels of which each was changed with probability ``rate``.

    Symmetric noise gives another class, each equally likely; asymmetric noise gives a class of ``confusions``. A row's
    noise depends on the seed, its position and its label only, not on how many rows follow; and the rows that change
    at one rate are among those that change at any higher rate.

    Args:
        labels: Class ids, int64 [N].
        classes: Names of the classes, in the order of the ids.
        kind: 'symmetric' or 'asymmetric'.
        rate: Probability of a change, from 0 to 1. The realised rate differs a little.
        seed: Of the draw.
        confusions: What a class is taken for, for asymmetric noise: see :func:`confusion_shares`. Defaults to None:
            :data:`CONFUSED_WITH`.

    Returns:
        int64 [N].
    """
    if kind not in ('symmetric', 'asymmetric'):
        raise ValueError(
            "label noise kind must be 'symmetric', 'asymmetric', 'manifest' (other noise comes from one, which "
            f"tools/dataset_tools/noise.py makes) or 'corrections' (tools/audit.py), got {kind!r}"
        )
    if kind == 'symmetric' and confusions is not None:
        raise ValueError("symmetric label noise takes no confusions; use kind='asymmetric'")
    check_range('label_noise.seed', seed, 0, whole=True)
    if len(classes) < 2:
        raise ValueError(f'label noise needs two classes or more, got {tuple(classes)}')
    # Only random() is drawn: its bits are fixed by the generator, the other methods may change between numpy versions.
    flip, which = np.random.default_rng(seed).random((len(labels), 2)).T
    if kind == 'symmetric':
        other = np.minimum((which * (len(classes) - 1)).astype(np.int64), len(classes) - 2)
        other += other >= labels
    else:
        upto = confusion_shares(classes, confusions).cumsum(axis=1)
        upto /= upto[:, -1:]  # exactly 1 at the end, so that rounding never runs past the last class
        other = np.empty(len(labels), dtype=np.int64)
        for label, steps in enumerate(upto):
            rows = labels == label
            other[rows] = np.searchsorted(steps, which[rows], side='right')
    return np.where(flip < check_rate(rate), other, labels)


def instance_noise(labels: np.ndarray, probs: np.ndarray, rate: float, seed: int = 0) -> np.ndarray:
    """Labels of which those that a model finds most ambiguous were changed to what it confuses them with.

    `Chen et al. 2021 <https://arxiv.org/abs/2012.05458>`_, algorithm 1: with ``S`` the mean of the model's predictions
    over epochs of training with clean labels, a face's score of being mislabelled is the largest ``S`` among the other
    classes, its noisy label the class that has it, and the given share of faces with the highest scores is mislabelled.

    Args:
        labels: Class ids, int64 [N].
        probs: S, [N, K].
        rate: Share of the faces to change, from 0 to 1; realised exactly, up to rounding to whole faces.
        seed: Decides among faces of equal score only.

    Returns:
        int64 [N].
    """
    if not np.isfinite(probs).all():
        raise ValueError("the model's predictions are not all numbers; give a checkpoint of a run that converged")
    others = np.array(probs, dtype=np.float64)
    others[np.arange(len(labels)), labels] = -1
    tie = np.random.default_rng(seed).random(len(labels))
    changed = np.lexsort((tie, -others.max(axis=1)))[: int(np.floor(check_rate(rate) * len(labels) + 0.5))]
    noisy = labels.copy()
    noisy[changed] = others[changed].argmax(axis=1)
    return noisy


def confusion_shares(classes: Sequence[str], confusions: Any = None) -> np.ndarray:
    """What the faces of a class are taken for when noise strikes, float64 [K, K]; every row sums to 1.

    Args:
        classes: K names. Synonyms and capitals do not matter.
        confusions: A class by class ({'happiness': 'neutral'}), or shares by class ({'fear': {'surprise': .7,
            'anger': .2}}); what is missing to 1 keeps its label, and so do classes that are not named. Or a matrix
            [K, K] in the order of the classes whose rows sum to 1, diagonal included: with ``rate=1`` it is the
            transition matrix. Defaults to None: :data:`CONFUSED_WITH`.

    Raises:
        ValueError: A class is not there, or shares are negative or sum to another value.
    """
    names = [canonical(name) for name in classes]
    if confusions is None:
        partners = {name: CONFUSED_WITH[name] for name in names if name in CONFUSED_WITH}
        lost = [f'{name} -> {partner}' for name, partner in partners.items() if partner not in names]
        if lost:
            raise ValueError(
                f'asymmetric label noise needs {", ".join(lost)}, but the classes are {tuple(classes)}; '
                "give confusions={'class': 'class', ...}, or use kind='symmetric'"
            )
        confusions = partners
    if not isinstance(confusions, Mapping):
        return _check_matrix(confusions, classes)
    if len({canonical(name) for name in confusions}) < len(confusions):
        raise ValueError(f'confusions name a class twice, got {tuple(confusions)}')
    shares = np.eye(len(names))
    for name, partners in confusions.items():
        partners = {partners: 1.0} if isinstance(partners, str) else partners
        if not isinstance(partners, Mapping):
            raise ValueError(f'confusions[{name!r}] must be a class, or shares by class, got {partners!r}')
        unknown = [word for word in (name, *partners) if canonical(word) not in names]
        if unknown:
            raise ValueError(f'confusions name {", ".join(map(repr, unknown))}, but the classes are {tuple(classes)}')
        row = np.zeros(len(names))
        for partner, share in partners.items():
            row[names.index(canonical(partner))] += share
        if not (row >= 0).all() or row.sum() > 1 + 1e-9:
            raise ValueError(f'confusions[{name!r}] must be shares that sum to at most 1, got {dict(partners)}')
        own = names.index(canonical(name))
        row[own] += max(0.0, 1 - row.sum())
        shares[own] = row
    return shares


def check_rate(rate: float) -> float:
    """The rate, if it is one."""
    if not (isinstance(rate, Real) and 0 <= rate <= 1):
        raise ValueError(f'label noise rate must lie between 0 and 1 (.3 for 30 %), got {rate!r}')
    return rate


def _check_matrix(matrix: Any, classes: Sequence[str]) -> np.ndarray:
    matrix = np.array(matrix, dtype=np.float64)
    k = len(classes)
    if matrix.shape != (k, k):
        raise ValueError(
            f'confusions must be a matrix of {k} rows and columns, one for each of {tuple(classes)}, got '
            f'shape {matrix.shape}'
        )
    if not (matrix >= 0).all() or not np.allclose(matrix.sum(axis=1), 1, atol=1e-6):
        raise ValueError(
            'every row of confusions must be shares that sum to 1, diagonal included, got rows that sum '
            f'to {matrix.sum(axis=1).round(6).tolist()}'
        )
    return matrix
