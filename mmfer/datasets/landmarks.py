"""The 68 points of a face: their order, what a flip does to it, and named subsets."""
from __future__ import annotations

import torch
from torch import Tensor

NUM_LANDMARKS = 68
"""Jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, outer lips 48-59, inner lips 60-67: the order of iBUG 300-W."""

SWAP_68 = (
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,   # jaw
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17,                     # brows
    27, 28, 29, 30, 35, 34, 33, 32, 31,                         # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,             # eyes
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55,             # outer lips
    64, 63, 62, 61, 60, 67, 66, 65)                             # inner lips
"""Which point takes each place after the image was flipped left to right: ``flipped = points[SWAP_68]``."""

AFLW_19 = (
    (17,), (19,), (21,), (22,), (24,), (26,),                                   # brows
    (36,), (37, 38, 40, 41), (39,), (42,), (43, 44, 46, 47), (45,),             # eyes: corner, centre, corner
    (1,), (30,), (15,),                                                         # side, nose, side
    (48,), (62, 66), (54,), (8,))                                               # mouth: corner, centre, corner; chin
"""Each of AFLW's 19 points as the mean of points of the 68."""

_SUBSETS = {
    'all': tuple((i,) for i in range(NUM_LANDMARKS)),
    'aflw19': AFLW_19,
    'no_jaw': tuple((i,) for i in range(17, NUM_LANDMARKS)),
}


def named_subset(name: str) -> Tensor:
    """The matrix that makes a named subset of the 68 points: ``subset = matrix @ points``.

    Args:
        name: 'all' (68), 'aflw19' (19; the centres of eyes and mouth are means) or 'no_jaw' (51).

    Returns:
        float32 [L, 68]; every row sums to 1.
    """
    groups = _groups(name)
    matrix = torch.zeros(len(groups), NUM_LANDMARKS)
    for row, group in enumerate(groups):
        matrix[row, list(group)] = 1 / len(group)
    return matrix


def subset_swap(name: str) -> tuple[int, ...]:
    """The left/right permutation of a named subset: ``flipped = subset[list(subset_swap(name))]``."""
    groups = [frozenset(group) for group in _groups(name)]
    return tuple(groups.index(frozenset(SWAP_68[i] for i in group)) for group in groups)


def _groups(name: str) -> tuple[tuple[int, ...], ...]:
    if name not in _SUBSETS:
        raise ValueError(f'there is no landmark subset {name!r}; choose from {", ".join(map(repr, _SUBSETS))}')
    return _SUBSETS[name]


SWAP_19 = subset_swap('aflw19')
"""The left/right permutation of ``named_subset('aflw19')``."""
