"""Random changes of a batch of images and their landmarks together, on the device."""

import inspect
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import kornia.augmentation as kornia
import torch
from torch import Tensor

from mmfer.models.preprocessing.augmentation_check import require_fit
from mmfer.models.preprocessing.fused_sequence import FusedSequence, for_devices
from mmfer.models.preprocessing.kornia_sequence import KorniaSequence, build_transform
from mmfer.registry import MODELS


class FaceAugmentation:
    """A sequence of kornia augmentations that keeps image and landmarks together.

    One affine map moves both; where it mirrors the face, left and right landmarks change places, so that the left eye
    stays the left eye. Not a module: it has no state that a checkpoint should hold.

    What pictures and landmarks do not survive together is refused, also where no landmarks are there: each transform is
    measured when it is built, see :mod:`mmfer.structures.landmark_probe`.

    Args:
        transforms: Configs; ``type`` is a class of `kornia.augmentation`, ``'package.Name'`` for one that a plugin
            registered in its `MODELS`, or ``'OneOf'`` for :class:`OneOf`.
        size: (H, W) for those that need a ``size`` and name none, such as `RandomResizedCrop`.

    Raises:
        ValueError: If there is no such augmentation, or one that mixes pictures, moves them without their landmarks,
            or confuses left and right landmarks.
    """

    def __init__(self, transforms: Sequence[dict[str, Any]], size: tuple[int, int]):
        for cfg in transforms:
            if not isinstance(cfg, Mapping) or 'type' not in cfg:
                raise ValueError(
                    f'augment takes dicts with a type, such as dict(type="RandomHorizontalFlip"), not {cfg!r}: write '
                    'them in a config file, or as "data_preprocessor.augment=[dict(type=RandomHorizontalFlip)]"'
                )
        self._steps: list[KorniaSequence | OneOf] = []
        self._on_devices: list[FusedSequence | KorniaSequence | OneOf] = []
        for choice, group in groupby(transforms, lambda cfg: cfg['type'] == 'OneOf'):
            if choice:
                choices = [OneOf(size=size, **{k: v for k, v in cfg.items() if k != 'type'}) for cfg in group]
                self._steps += choices
                self._on_devices += choices
            else:
                cfgs = list(group)
                parts = [build_transform(cfg, size) for cfg in cfgs]
                self._steps.append(KorniaSequence(parts))
                self._on_devices += for_devices(parts)
                for cfg, part in zip(cfgs, parts, strict=True):
                    require_fit(cfg, size, type(part))

    def __call__(self, images: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Augments a batch, one draw per image.

        Shapes:
            images: [N, 3, H, W], in [0, 1] (or normalised).
            landmarks: [N, 68, 2] or None.
            returns: images [N, 3, H', W'], landmarks as given.
        """
        # On a CPU kernels cost what they compute, and kornia's form stays what earlier runs had.
        for step in self._steps if images.device.type == 'cpu' else self._on_devices:
            images, landmarks = step(images, landmarks)
        return images, landmarks


class OneOf:
    """With some probability one of several augmentations, drawn for each image: never two of them.

    Args:
        transforms: Their configs, without ``p``; they may not change the size of images.
        p: Probability that an image gets any; each is as probable as the others.
        size: As in :class:`FaceAugmentation`.

    Raises:
        ValueError: If there are none, one of them has a ``p`` of its own, or `p` is no probability.
    """

    def __init__(self, transforms: Sequence[dict[str, Any]], size: tuple[int, int], p: float = 1.0):
        if not transforms or not 0 < p <= 1:
            raise ValueError(f'OneOf takes transforms and p in (0, 1], got {len(transforms)} transforms and p={p}')
        for cfg in transforms:
            if 'p' in cfg:
                raise ValueError(f'OneOf draws one of its transforms: take p={cfg["p"]} out of {cfg["type"]}')
        self.p = p
        self._options = [FaceAugmentation([_always(cfg)], size) for cfg in transforms]

    def __call__(self, images: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As `FaceAugmentation`.

        Raises:
            ValueError: If an augmentation gives images of another size.
        """
        drawn = (torch.rand(len(images), device=images.device) * len(self._options) / self.p).long()
        changed, moved = images, landmarks
        for number, option in enumerate(self._options):
            faces, points = option(images, landmarks)
            if faces.shape != images.shape:
                raise ValueError(
                    f'OneOf: an augmentation makes {tuple(faces.shape[-2:])} px of {tuple(images.shape[-2:])} px, but '
                    'the faces of a batch have one size: take it out of OneOf'
                )
            chosen = (drawn == number)[:, None, None]
            changed = torch.where(chosen[..., None], faces, changed)
            moved = None if moved is None or points is None else torch.where(chosen, points, moved)
        return changed, moved


def _always(cfg: dict[str, Any]) -> dict[str, Any]:
    """The config of an augmentation that acts on every image: the draw is made elsewhere."""
    cls = getattr(kornia, cfg['type'], None) or MODELS.get(cfg['type'])
    return {**cfg, 'p': 1.0} if cls and 'p' in inspect.signature(cls).parameters else dict(cfg)
