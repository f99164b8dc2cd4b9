"""What the votes of FER+ are read as.

The rules are those of `Barsoum et al. 2016 <https://arxiv.org/abs/1608.01041>`_ as their public code applies them
(`ferplus.py <https://github.com/microsoft/FERPlus/blob/master/src/ferplus.py>`_), written anew. Votes are int
[N, 10]: eight emotions, then 'unknown' and 'no face'. Every reading first removes outliers: a single vote for
something counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmfer.datasets.labels.numbers import whole_number

_EMOTIONS = 8
VOTES = ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt', 'unknown', 'NF')


def votes_of(cells: Sequence[str]) -> list[int]:
    """The ten votes of a row, in the order of :data:`VOTES`.

    Raises:
        ValueError: There are others than ten, or they are no whole numbers from 0.
    """
    if len(cells) != len(VOTES):
        raise ValueError(f'{len(cells)} votes')
    votes = [vote for cell in cells if (vote := whole_number(cell)) is not None and vote >= 0]
    if len(votes) < len(cells):
        raise ValueError('votes must be whole numbers')
    return votes


def majority(votes: np.ndarray) -> np.ndarray:
    """Shares of the majority vote, float32 [N, 8]: 1 for the emotion that has more than half of the votes.

    All 0 where nothing has more than half, or 'unknown' or 'no face' has: the published code leaves these faces out.
    """
    votes = _without_outliers(votes)
    return (2 * votes > votes.sum(axis=1, keepdims=True))[:, :_EMOTIONS].astype(np.float32)


def distribution(votes: np.ndarray) -> np.ndarray:
    """Shares of all votes for emotions, float32 [N, 8].

    All 0 where 'unknown' or 'no face' has more votes than every emotion, or no votes are left.
    """
    votes = _without_outliers(votes)
    emotions, others = votes[:, :_EMOTIONS], votes[:, _EMOTIONS:]
    return _shares(np.where((others.max(axis=1) > emotions.max(axis=1))[:, None], 0, emotions))


def cross_entropy(votes: np.ndarray) -> np.ndarray:
    """Shares of the emotions with most votes, float32 [N, 8]: the target of the paper's cross-entropy scheme.

    Emotions are taken from most votes to least, those with as many votes together, until three quarters of the votes
    or three emotions are taken; 'unknown' and 'no face' end it when it is their turn. All 0, as the published code
    leaves these faces out, where no more than half of the votes are taken then, or more than three emotions.
    """
    votes = _without_outliers(votes)
    total = votes.sum(axis=1)
    taken = np.zeros_like(votes[:, :_EMOTIONS])
    goes_on = np.ones(len(votes), dtype=bool)
    for number in range(votes.max(initial=0), 1, -1):
        goes_on &= (4 * taken.sum(axis=1) < 3 * total) & ((taken > 0).sum(axis=1) < 3)
        turn = goes_on[:, None] & (votes == number)
        taken[turn[:, :_EMOTIONS]] = number
        goes_on &= ~turn[:, _EMOTIONS:].any(axis=1)
    discarded = (2 * taken.sum(axis=1) <= total) | ((taken > 0).sum(axis=1) > 3)
    return _shares(np.where(discarded[:, None], 0, taken))


READINGS = {
    'majority': majority,
    'distribution': distribution,
    'cross_entropy': cross_entropy,
    'probability': cross_entropy,  # a label is drawn from these shares
}


def _without_outliers(votes: np.ndarray) -> np.ndarray:
    return np.where(votes > 1, votes, 0)


def _shares(votes: np.ndarray) -> np.ndarray:
    total = votes.sum(axis=1, keepdims=True)
    return (votes / np.maximum(total, 1)).astype(np.float32)
