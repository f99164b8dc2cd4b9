"""Measures whether a change of pictures takes the landmarks along: dots are painted at landmarks, and looked for."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfer.structures.landmark_sets import MIRROR_68

Change = Callable[[Tensor, Tensor], tuple[Sequence[Tensor], Sequence[Tensor]]]

MIXES = 'mixes pictures or cuts them up, and their labels and landmarks stay as they were'
APART = 'moves picture and landmarks apart'
SIDES = 'confuses left and right landmarks, which must change places where the picture is mirrored, and only there'

_BATCH = 8
"""Pictures of a round; the even ones get dots, the odd ones show whether anything of a dot arrives elsewhere."""
_DOT = 0.4
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
            pictures, points = _faces(size, seed)
            triples = [_TRIPLES[(seed * _BATCH + row) // 2 % len(_TRIPLES)] for row in range(_BATCH)]
            plain, moved = _apply(change, pictures, points, seed)
            again, _ = _apply(change, pictures, points, seed)
            if len(plain) != _BATCH:
                return Measured(MIXES, 0, 0)
            if any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(plain, again, strict=True)):
                return Measured(None, 0, 0)  # random numbers of its own: nothing can be compared
            other, _ = _apply(change, 0.5 * _faces(size, rounds + seed)[0], points, seed)
            marked = [_with_dots(pictures, points, [triple[k] for triple in triples]) for k in range(3)]
            dotted = [_apply(change, images, points, seed)[0] for images in marked]
            if any(_spilled(plain[row], dots[row]) for dots in dotted for row in range(1, _BATCH, 2)):
                return Measured(MIXES, 0, 0)
            for row in range(0, _BATCH, 2):
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


def frontal_face() -> Tensor:
    """68 points of a face that looks ahead, in the unit square, float32 [68, 2]."""

    def ring(x: float, y: float, wide: float, high: float, count: int) -> np.ndarray:
        turn = np.pi + 2 * np.pi * np.arange(count) / count
        return np.stack([x + wide * np.cos(turn), y + high * np.sin(turn)], axis=1)

    turn = np.pi * (1 - np.arange(17) / 16)
    jaw = np.stack([0.5 + 0.38 * np.cos(turn), 0.4 + 0.5 * np.sin(turn)], axis=1)
    arch = 0.28 - 0.03 * np.sin(np.linspace(0.3, np.pi - 0.3, 5))
    brows = [np.stack([np.linspace(start, start + 0.24, 5), arch], axis=1) for start in (0.18, 0.58)]
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.38, 0.58, 4)], axis=1)
    nostrils = np.stack([np.linspace(0.42, 0.58, 5), 0.63 + 0.02 * np.sin(np.linspace(0, np.pi, 5))], axis=1)
    eyes = [ring(x, 0.38, 0.07, 0.03, 6) for x in (0.31, 0.69)]
    mouth = [ring(0.5, 0.76, 0.15, 0.06, 12), ring(0.5, 0.76, 0.11, 0.03, 8)]
    return torch.from_numpy(np.concatenate([jaw, *brows, bridge, nostrils, *eyes, *mouth])).float()


def _faces(size: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Pictures of soft grey patches, and a face's landmarks on each, shifted a little."""
    generator = torch.Generator().manual_seed(seed)
    patches = 0.3 + 0.2 * torch.rand(_BATCH, 3, 5, 5, generator=generator)
    pictures = F.interpolate(patches, size, mode='bilinear', align_corners=True)
    pictures[..., 0, 0], pictures[..., 0, -1] = 0, 1  # a dot shall not be what contrast is stretched to
    shift = 0.06 * (torch.rand(_BATCH, 1, 2, generator=generator) - 0.5)
    return pictures, (frontal_face() + shift) * torch.tensor([size[1], size[0]]) - 0.5


def _apply(change: Change, pictures: Tensor, points: Tensor, seed: int) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # else the seed would be kept for when it is
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed)
    random.seed(seed)
    return change(pictures.clone(), points.clone())


def _with_dots(pictures: Tensor, points: Tensor, which: Sequence[int]) -> Tensor:
    height, width = pictures.shape[-2:]
    centre = points[torch.arange(_BATCH), torch.tensor(which)]
    x, y = torch.arange(width) - centre[:, :1], torch.arange(height) - centre[:, 1:]
    dots = _DOT * torch.exp(-(y[:, :, None] ** 2 + x[:, None, :] ** 2) / (2 * max(width / 40, 1.5) ** 2))
    dots[1::2] = 0
    return pictures + dots[:, None]


def _difference(plain: Tensor, dotted: Tensor) -> Tensor:
    difference = (dotted.float() - plain.float()).abs().sum(0)
    return (difference - difference.median()).clamp(min=0)


def _spilled(plain: Tensor, dotted: Tensor) -> bool:
    return plain.shape != dotted.shape or bool(_difference(plain, dotted).max() > _SPILL * 3 * _DOT)


def _find(plain: Tensor, other: Tensor, dotted: Tensor) -> Tensor | None:
    """Where a dot is, (x, y); None where it is gone, or parts of it are."""
    if not plain.shape == other.shape == dotted.shape:
        return None
    difference = _difference(plain, dotted)
    height, width = difference.shape
    row, column = divmod(int(difference.argmax()), width)
    margin = _BORDER * max(height, width)
    inside = margin <= row < height - margin and margin <= column < width - margin
    if not inside or difference.max() < _FAINT * 3 * _DOT:
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
