"""Augmentations of kornia in a row, in few kernels."""

from collections.abc import Sequence
from typing import Any

import kornia.augmentation as kornia
import torch
from kornia.constants import Resample
from torch import Tensor

from mmfer.models.preprocessing.fused_passes import Draws, Pass, add_noise, erase, jitter, mirror, sample
from mmfer.models.preprocessing.kornia_sequence import KorniaSequence

_MIRRORS = (kornia.RandomHorizontalFlip, kornia.RandomVerticalFlip)
_RESAMPLINGS = (
    kornia.RandomAffine,
    kornia.RandomResizedCrop,
    kornia.RandomRotation,
    kornia.RandomShear,
    kornia.RandomTranslate,
)
_COLOURS: dict[type, Pass] = {
    kornia.ColorJitter: jitter,
    kornia.RandomErasing: erase,
    kornia.RandomGaussianNoise: add_noise,
}


class FusedSequence:
    """What kornia does with the same draws, in a third to an eighteenth of its kernels: the form for a GPU.

    The draws and their matrices are kornia's own, made on the host; they travel to the device as one table. Mirrors
    and a resampling become one map, see :mod:`mmfer.models.preprocessing.fused_passes`.

    Args:
        parts: Augmentations that :func:`fusable` accepts.
    """

    def __init__(self, parts: Sequence[Any]):
        self.parts = list(parts)
        self._passes = _in_passes(self.parts)

    def __call__(self, images: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As :class:`~mmfer.models.preprocessing.augmentation.FaceAugmentation`."""
        shape, draws, shapes = list(images.shape), [], []
        for part in self.parts:  # all draw before any acts, as in kornia
            draws.append(_draw(part, torch.Size(shape)))
            shapes.append(tuple(shape))
            shape[-2:] = part.flags.get('size', shape[-2:])
        prepared = [
            kind([self.parts[k] for k in which], [draws[k] for k in which], shapes[which[0]])
            for kind, which in self._passes
        ]
        table = torch.cat([numbers for numbers, _ in prepared], dim=1).float()
        table = (table.pin_memory() if images.is_cuda else table).to(images.device, non_blocking=True)
        columns = table.split([numbers.size(1) for numbers, _ in prepared], dim=1)
        for (_, change), numbers in zip(prepared, columns, strict=True):
            images, landmarks = change(images, landmarks, numbers)
        return images, landmarks


def fusable(part: Any) -> bool:
    """Whether :class:`FusedSequence` does what this augmentation does: of its kind and with its settings."""
    kind, flags = type(part), getattr(part, 'flags', {})
    if kind not in (*_MIRRORS, *_RESAMPLINGS, *_COLOURS) or part.same_on_batch or part.keepdim or part.p_batch != 1:
        return False
    if kind in _RESAMPLINGS:
        return flags['resample'] == Resample.BILINEAR and flags['align_corners'] and flags.get('fill_value') is None
    return True


def for_devices(parts: Sequence[Any]) -> list[FusedSequence | KorniaSequence]:
    """Augmentations in a row, in as few kernels as can be."""
    runs: list[tuple[bool, list[Any]]] = []
    for part in parts:
        fused = fusable(part)
        if not runs or runs[-1][0] != fused:
            runs.append((fused, []))
        runs[-1][1].append(part)
    return [FusedSequence(run) if fused else KorniaSequence(run) for fused, run in runs]


def _draw(part: Any, shape: torch.Size) -> Draws:
    if type(part) is kornia.RandomGaussianNoise:  # drawn on the device; only who gets any is drawn here
        return {'batch_prob': part.__batch_prob_generator__(shape, part.p, part.p_batch, part.same_on_batch)}
    return part.forward_parameters(shape)


def _in_passes(parts: Sequence[Any]) -> list[tuple[Pass, list[int]]]:
    """In which passes the parts act, and which parts each has."""
    passes: list[tuple[Pass, list[int]]] = []
    moves: list[int] = []

    def moved() -> None:
        if moves:
            passes.append((sample if any(type(parts[k]) in _RESAMPLINGS for k in moves) else mirror, moves.copy()))
            moves.clear()

    for number, part in enumerate(parts):
        colour = _COLOURS.get(type(part))
        interpolated = any(type(parts[k]) in _RESAMPLINGS for k in moves)
        if colour is None:
            if interpolated and type(part) in _RESAMPLINGS:
                moved()  # two interpolations are not one
            moves.append(number)
        else:
            # Colours do not depend on their places: a mirror may wait for what else moves.
            if colour is not jitter or interpolated:
                moved()
            passes.append((colour, [number]))
    moved()
    return passes
