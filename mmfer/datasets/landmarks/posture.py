"""Whether landmarks are those of faces that stand upright, in the order of iBUG 300-W.

Faces of one set resemble each other where all are wrong alike, so each is held against what is true of faces: brows lie
above eyes, eyes above the mouth, the chin below it, and point 36 left of point 45.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmfer.structures.landmark_sets import NUM_POINTS

_JAW_RIGHT, _CHIN, _JAW_LEFT = (0, 1, 2, 3, 4), (6, 7, 8, 9, 10), (12, 13, 14, 15, 16)
_BROW_RIGHT, _BROW_LEFT = (17, 18, 19, 20, 21), (22, 23, 24, 25, 26)
_EYE_RIGHT, _EYE_LEFT = (36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)
_NOSTRILS, _MOUTH = (31, 32, 33, 34, 35), tuple(range(48, 68))
_LEFT_OF = (
    *((_JAW_RIGHT, _CHIN), (_CHIN, _JAW_LEFT), (_BROW_RIGHT, _BROW_LEFT), (_EYE_RIGHT, _EYE_LEFT)),
    *((_JAW_RIGHT, _EYE_RIGHT), (_EYE_LEFT, _JAW_LEFT)),
    *(((a,), (b,)) for a, b in ((0, 16), (2, 14), (4, 12), (5, 8), (8, 11), (6, 10))),  # jaw
    *(((a,), (b,)) for a, b in ((17, 21), (18, 20), (22, 26), (23, 25), (31, 35), (32, 34))),  # brows, nostrils
    *(((a,), (b,)) for a, b in ((36, 39), (37, 38), (41, 40), (42, 45), (43, 44), (47, 46), (39, 42))),  # eyes
    *(((a,), (b,)) for a, b in ((48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63))),  # lips
)
_ABOVE = (
    *((_BROW_RIGHT, _EYE_RIGHT), (_BROW_LEFT, _EYE_LEFT), (_EYE_RIGHT, (30,)), (_EYE_LEFT, (30,)), ((30,), _MOUTH)),
    *((_EYE_RIGHT, _MOUTH), (_EYE_LEFT, _MOUTH), (_NOSTRILS, _MOUTH), (_MOUTH, _CHIN)),
    *((_JAW_RIGHT, _CHIN), (_JAW_LEFT, _CHIN)),
    *(((a,), (b,)) for a, b in ((0, 3), (1, 6), (4, 8), (12, 8), (15, 10), (16, 13))),  # jaw
    *(((a,), (b,)) for a, b in ((27, 30), (28, 29), (37, 41), (38, 40), (43, 47), (44, 46))),  # nose, eyelids
    *(((a,), (b,)) for a, b in ((51, 57), (50, 58), (52, 56), (51, 62), (66, 57))),  # lips
)
"""Points, or means of several, of which the first lies left of the second in the picture, or above it."""

READINGS = (
    'stand upright',
    'are upside down',
    'are mirrored, left and right exchanged',
    'are turned by half a turn',
    'have x and y exchanged',
    'are turned by a quarter',
    'are turned by a quarter',
    'have x and y exchanged, both counted backwards',
    'are no face in the order of iBUG 300-W',
)
_UPRIGHT, EXCHANGED, NO_FACE = 0, 4, 8
_FACE = 0.85
"""Share of the statements that must hold. Of 39,529 real faces 1 in 100 has less than .97 and 1 in 1,000 less than .87;
of points in any order 1 in 20 has more than .67, after the best of the eight turns."""
NEARLY_ALL, SOME = 0.9, 0.05
"""Share of the faces for which it is the file that is wrong, and from which it is worth a warning."""
_OFTEN = 0.5
"""Share of upright faces that a statement cannot fail for; of real ones the most fragile fails for .027."""
_FEW = 5
"""Of fewer faces all may really lie on their side."""
_FEW_FOR_ONE = 8
"""Of fewer faces a statement may fail for half by chance: of 1,500 draws of 5 or 6 real faces it did for 2, of 8 for
none."""
_AT_ONCE = 50_000


class Posture(NamedTuple):
    """How the faces of a set lie.

    Args:
        odd: Which do not stand upright, bool [N].
        fault: What is wrong with nearly all, such as 'have x and y exchanged'; None where nothing is.
    """

    odd: np.ndarray
    fault: str | None


def readings(points: np.ndarray) -> np.ndarray:
    """How each face lies: an index of `READINGS`, int64 [N].

    Of the eight ways to turn and mirror a picture the one counts after which most statements hold. So a face whose head
    is tilted by less than 45 degrees stands upright.

    Args:
        points: (x, y), finite, [N, 68, 2].
    """
    parts = [_look(points[start : start + _AT_ONCE])[0] for start in range(0, len(points), _AT_ONCE)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def posture(points: np.ndarray) -> Posture:
    """Whether faces stand upright: each, and nearly all of them.

    Args:
        points: (x, y), finite, [N, 68, 2].
    """
    which = readings(points)
    odd = which != _UPRIGHT
    if len(points) < _FEW:
        return Posture(odd, None)
    if odd.mean() >= NEARLY_ALL:
        return Posture(odd, READINGS[int(np.bincount(which[odd]).argmax())])
    upright = points[~odd]
    held = sum(_look(upright[start : start + _AT_ONCE])[1] for start in range(0, len(upright), _AT_ONCE))
    worst = int(np.argmin(held))
    if len(upright) >= _FEW_FOR_ONE and np.min(held) <= (1 - _OFTEN) * len(upright):
        pair = (*_LEFT_OF, *_ABOVE)[worst]
        first, second = (f'{points[0]}' if len(points) == 1 else f'{points[0]} to {points[-1]}' for points in pair)
        word = 'left of' if worst < len(_LEFT_OF) else 'above'
        return Posture(odd, f'are not in the order of iBUG 300-W ({first} must lie {word} {second})')
    return Posture(odd, None)


def _differences(pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> np.ndarray:
    weights = np.zeros((NUM_POINTS, len(pairs)), dtype=np.float32)
    for column, (first, second) in enumerate(pairs):
        weights[list(second), column] += 1 / len(second)
        weights[list(first), column] -= 1 / len(first)
    return weights


_TO_RIGHT, _TO_BELOW = _differences(_LEFT_OF), _differences(_ABOVE)


def _look(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How each face lies, and how many faces each statement holds for as they are."""
    x, y = points[..., 0].astype(np.float32), points[..., 1].astype(np.float32)
    (right_x, right_y), (below_x, below_y) = ([axis @ weights for axis in (x, y)] for weights in (_TO_RIGHT, _TO_BELOW))
    views = (
        *((right_x, below_y), (right_x, -below_y), (-right_x, below_y), (-right_x, -below_y)),
        *((right_y, below_x), (right_y, -below_x), (-right_y, below_x), (-right_y, -below_x)),
    )
    count = len(_LEFT_OF) + len(_ABOVE)
    share = np.stack([((right > 0).sum(axis=1) + (below > 0).sum(axis=1)) / count for right, below in views], axis=1)
    which = np.where(share.max(axis=1) < _FACE, NO_FACE, share.argmax(axis=1))
    return which, np.concatenate([(right_x > 0).sum(axis=0), (below_y > 0).sum(axis=0)])
