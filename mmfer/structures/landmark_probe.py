"""Measures whether a change of pictures takes the landmarks along: dots are painted at landmarks, and looked for."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmfer.structures.dotted_faces import BATCH, DOT, patched_faces, with_dots
from mmfer.structures.landmark_sets import MIRROR_68

Change = Callable[[Tensor, Tensor], tuple[Tensor | Sequence[Tensor], Tensor | Sequence[Tensor]]]

MIXES = 'mixes pictures or cuts them up, and their labels and landmarks stay as they were'
APART = 'moves picture and landmarks apart'
SIDES = 'confuses left and right landmarks, which must change places where the picture is mirrored, and only there'

_FAINT = 0.05
"""Part of a dot's height below which it counts as gone: cut off, erased, or blotted out."""
_SPILL = 0.02
"""Part of a dot's height that no other picture may receive."""
_BORDER = 0.08
"""Share of the longer side: nearer to the border, half of a dot may be cut off."""
_HIDDEN = 0.1
"""Share of a dot's surroundings that may be hidden: what looks the same whatever the picture was."""
_NEAR = 0.02
"""Share of the longer side that a dot may be away from its landmark."""
_PIXELS = 0.5
"""How well a dot is found, at best: in a picture of a few pixels that is more than `_NEAR`."""
_MOST_OFF = 0.1
"""Share of the dots that may be further away, as half of some is erased. Of kornia's right transforms at most .05 are,
of the wrong ones at least .6."""
_TRIPLES = ((36, 45, 8), (17, 26, 57), (0, 16, 33), (39, 54, 4), (42, 48, 12), (21, 35, 66), (19, 13, 51), (24, 3, 62))
"""Landmarks of a face that get a dot, one after the other; three tell whether the picture is mirrored."""


class Measured(NamedTuple):
    """What was measured.

    Args:
        fault: What is wrong; None where nothing is.
        distance: The largest between a dot and its landmark, in sides of the picture.
        found: Dots that were found again; 0 where nothing can be told.
    """

    fault: str | None
    distance: float
    found: int


def measure(change: Change, size: tuple[int, int] = (128, 160), rounds: int = 2) -> Measured:
    """Whether a change of pictures moves landmarks as it moves the pictures, and keeps every picture to itself.

    The same random numbers are drawn for pictures without and with a dot: their difference is where the dot went,
    whatever happens to the colours. A dot does not count where two quite different pictures come out the same around
    it, as parts of it may be hidden. The generators of the process are not advanced.

    Args:
        change: Takes pictures [N, 3, H, W] in [0, 1] and landmarks [N, 68, 2], and returns both as they are
            afterwards. Draws from the generators of torch, numpy and random.
        size: (H, W) of the pictures to measure with.
        rounds: How often random numbers are drawn anew, for four faces each.
    """
    distances: list[float] = []
    away, mirrored = 0, False
    with own_randomness():
        for seed in range(rounds):
            pictures, points = patched_faces(size, seed)
            triples = [_TRIPLES[(seed * BATCH + row) // 2 % len(_TRIPLES)] for row in range(BATCH)]
            plain, moved = _apply(change, pictures, points, seed)
            again, _ = _apply(change, pictures, points, seed)
            if len(plain) != BATCH:
                return Measured(MIXES, 0, 0)
            if any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(plain, again, strict=True)):
                return Measured(None, 0, 0)  # random numbers of its own: nothing can be compared
            other, _ = _apply(change, 0.5 * patched_faces(size, rounds + seed)[0], points, seed)
            marked = [with_dots(pictures, points, [triple[k] for triple in triples]) for k in range(3)]
            dotted = [_apply(change, images, points, seed)[0] for images in marked]
            if any(_spilled(plain[row], dots[row]) for dots in dotted for row in range(1, BATCH, 2)):
                return Measured(MIXES, 0, 0)
            for row in range(0, BATCH, 2):
                places = [_find(plain[row], other[row], dots[row]) for dots in dotted]
                off, swapped = _compare(places, points[row], moved[row], list(triples[row]))
                side = max(plain[row].shape[-2:])
                distances += [distance / side for distance in off]
                away += sum(distance > _NEAR * side + _PIXELS for distance in off)
                mirrored |= swapped
    largest = max(distances, default=0.0)
    if away > _MOST_OFF * len(distances):
        return Measured(APART, largest, len(distances))
    return Measured(SIDES if mirrored else None, largest, len(distances))


@contextmanager
def own_randomness() -> Iterator[None]:
    """Leaves the process's generators as they were; what is worth a warning is said when the run itself does it."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        if devices is not None:
            torch.cuda.set_rng_state_all(devices)


def _apply(
    change: Change, pictures: Tensor, points: Tensor, seed: int
) -> tuple[Tensor | Sequence[Tensor], Tensor | Sequence[Tensor]]:
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # else the seed would be kept for when it is
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed)
    random.seed(seed)
    return change(pictures.clone(), points.clone())


def _difference(plain: Tensor, dotted: Tensor) -> Tensor:
    difference = (dotted.float() - plain.float()).abs().sum(0)
    return (difference - difference.median()).clamp(min=0)


def _spilled(plain: Tensor, dotted: Tensor) -> bool:
    return plain.shape != dotted.shape or bool(_difference(plain, dotted).max() > _SPILL * 3 * DOT)


def _find(plain: Tensor, other: Tensor, dotted: Tensor) -> Tensor | None:
    """Where a dot is, (x, y); None where it is gone, or parts of it are."""
    if not plain.shape == other.shape == dotted.shape:
        return None
    difference = _difference(plain, dotted)
    height, width = difference.shape
    row, column = divmod(int(difference.argmax()), width)
    margin = _BORDER * max(height, width)
    inside = margin <= row < height - margin and margin <= column < width - margin
    if not inside or difference.max() < _FAINT * 3 * DOT:
        return None
    y, x = torch.arange(height)[:, None], torch.arange(width)
    squared = (y - row) ** 2 + (x - column) ** 2
    hidden = (other.float() - plain.float()).abs().sum(0) < 1e-3
    if hidden[squared < margin**2].float().mean() > _HIDDEN:
        return None
    around = squared < (2 * margin) ** 2
    weight = torch.where(around & (difference > 0.5 * difference.max()), difference, 0)
    return torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def _compare(
    places: Sequence[Tensor | None], before: Tensor, after: Tensor, which: list[int]
) -> tuple[list[float], bool]:
    """Pixels from each dot to the landmark it should be at, and whether left and right are exchanged wrongly."""
    found = [k for k, place in enumerate(places) if place is not None]
    if not found:
        return [], False
    dots = torch.stack([place for place in places if place is not None])
    same = (dots - after[[which[k] for k in found]]).norm(dim=1)
    other = (dots - after[[MIRROR_68[which[k]] for k in found]]).norm(dim=1)
    if len(found) < 3:
        return torch.minimum(same, other).tolist(), False
    right, wrong = (same, other) if _turn(dots) * _turn(before[which]) > 0 else (other, same)
    swapped = bool(wrong.max() < 0.5 * right.max())
    return (wrong if swapped else right).tolist(), swapped


def _turn(points: Tensor) -> Tensor:
    """Whether three points go round clockwise: the sign."""
    (a, b), (c, d) = points[1] - points[0], points[2] - points[0]
    return a * d - b * c
