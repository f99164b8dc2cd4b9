"""Label noise for experiments."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .label_schema import canonical

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


def noisy_labels(labels: np.ndarray, classes: Sequence[str], kind: str, rate: float, seed: int = 0) -> np.ndarray:
    """Labels of which each was changed with probability ``rate``.

    Symmetric noise gives another class, each equally likely; asymmetric noise gives the class of
    :data:`CONFUSED_WITH`. A row's noise depends on the seed, its position and its label only, not on how many rows
    follow; and the rows that change at one rate are among those that change at any higher rate.

    Args:
        labels: Class ids, int64 [N].
        classes: Names of the classes, in the order of the ids.
        kind: 'symmetric' or 'asymmetric'.
        rate: Probability of a change, in [0, 1). The realised rate differs a little.
        seed: Of the draw.

    Returns:
        int64 [N].
    """
    if kind not in ('symmetric', 'asymmetric'):
        raise ValueError(f"label noise kind must be 'symmetric' or 'asymmetric', got {kind!r}")
    if not 0 <= rate < 1:
        raise ValueError(f'label noise rate must be at least 0 and below 1 (.3 for 30 %), got {rate}')
    if len(classes) < 2:
        raise ValueError(f'label noise needs two classes or more, got {tuple(classes)}')
    # Only random() is drawn: its bits are fixed by the generator, the other methods may change between numpy versions.
    flip, which = np.random.default_rng(seed).random((len(labels), 2)).T
    if kind == 'symmetric':
        other = np.minimum((which * (len(classes) - 1)).astype(np.int64), len(classes) - 2)
        other += other >= labels
    else:
        other = _confusions(classes)[labels]
    return np.where(flip < rate, other, labels)


def _confusions(classes: Sequence[str]) -> np.ndarray:
    names = [canonical(name) for name in classes]
    partners = [CONFUSED_WITH.get(name, name) for name in names]
    lost = [f'{name} -> {partner}' for name, partner in zip(names, partners, strict=True) if partner not in names]
    if lost:
        raise ValueError(f'asymmetric label noise needs {", ".join(lost)}, but the classes are {tuple(classes)}; use '
                         "kind='symmetric'")
    return np.array([names.index(partner) for partner in partners], dtype=np.int64)
