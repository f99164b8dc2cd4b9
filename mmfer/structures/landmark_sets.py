"""Named sets of landmarks, all defined on the standard 68 points (iBUG order, 0-based)."""

from dataclasses import dataclass

import torch
from torch import Tensor

NUM_POINTS = 68


def _pairs(*ranges: tuple[range, range]) -> list[int]:
    order = list(range(NUM_POINTS))
    for right, left in ranges:
        for a, b in zip(right, left, strict=True):
            order[a], order[b] = b, a
    return order


MIRROR_68 = _pairs(
    (range(0, 8), range(16, 8, -1)),  # jaw
    (range(17, 22), range(26, 21, -1)),  # brows
    (range(31, 33), range(35, 33, -1)),  # nostrils
    (range(36, 40), range(45, 41, -1)),  # eyes, upper lids and corners
    (range(40, 42), range(47, 45, -1)),  # eyes, lower lids
    (range(48, 51), range(54, 51, -1)),  # outer upper lip
    (range(58, 60), range(56, 54, -1)),  # outer lower lip
    (range(60, 62), range(64, 62, -1)),  # inner upper lip
    (range(67, 68), range(65, 64, -1)),  # inner lower lip
)
"""Where each point's value comes from when a face is mirrored: ``points[..., MIRROR_68, :]``."""

AFLW19 = (
    (17,), (19,), (21,), (22,), (24,), (26,),  # brows
    (36,), (37, 38, 40, 41), (39,), (42,), (43, 44, 46, 47), (45,),  # eyes: corners and centres
    (31,), (30,), (35,),  # nose: wings and tip
    (48,), (62, 66), (54,), (8,),  # mouth corners and centre, chin
)  # fmt: skip
"""The 19 points of AFLW, each the mean of some of the 68."""

_SETS = {
    'all': tuple((i,) for i in range(NUM_POINTS)),
    'no_jaw': tuple((i,) for i in range(17, NUM_POINTS)),
    'aflw19': AFLW19,
}


@dataclass(frozen=True)
class LandmarkSet:
    """A choice of landmarks, each the mean of one or several of the 68.

    Args:
        name: Of the set.
        members: The points behind each landmark.
    """

    name: str
    members: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.members)

    def weights(self) -> Tensor:
        """How each landmark is averaged from the 68: ``weights @ landmarks`` gives the set's points.

        Shapes:
            returns: [L, 68], rows sum to 1.
        """
        weights = torch.zeros(len(self.members), NUM_POINTS)
        for row, points in enumerate(self.members):
            weights[row, list(points)] = 1 / len(points)
        return weights


def landmark_set(name: str) -> LandmarkSet:
    """The set of that name: ``'all'``, ``'no_jaw'`` (17..67) or ``'aflw19'``.

    Raises:
        ValueError: If there is none.
    """
    if name not in _SETS:
        raise ValueError(f'there is no landmark set "{name}"; choose one of {", ".join(_SETS)}')
    return LandmarkSet(name, _SETS[name])
