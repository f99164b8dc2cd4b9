"""Augmentations of kornia in a row, for images and their landmarks."""

import inspect
from collections.abc import Sequence
from typing import Any

import kornia.augmentation as kornia
import torch
from kornia.augmentation.base import _AugmentationBase
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.structures.landmark_probe import APART, MIXES, SIDES
from mmfer.structures.landmark_sets import MIRROR_68, NUM_POINTS
from mmfer.structures.naming import did_you_mean

_INSTEAD = {
    MIXES: 'RandomErasing hides a part of a picture and leaves the others alone',
    APART: 'RandomAffine, RandomPerspective and RandomResizedCrop move both',
    SIDES: 'RandomHorizontalFlip does so',
}


class KorniaSequence:
    """Augmentations of kornia in a row.

    Args:
        parts: The augmentations.
    """

    def __init__(self, parts: Sequence[torch.nn.Module]):
        self.images = kornia.AugmentationSequential(*parts, data_keys=['input'])
        self.both = kornia.AugmentationSequential(*parts, data_keys=['input', 'keypoints'])
        self._mirror = torch.tensor(MIRROR_68)

    def __call__(self, images: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """As :class:`~mmfer.models.preprocessing.augmentation.FaceAugmentation`."""
        if landmarks is None:
            return self.images(images), None
        images, landmarks = self.both(images, landmarks)
        matrix = self.both.transform_matrix
        if matrix is not None and landmarks.size(1) == NUM_POINTS:
            # A mirror, however it came about, is what has a negative determinant.
            mirrored = matrix[:, 0, 0] * matrix[:, 1, 1] < matrix[:, 0, 1] * matrix[:, 1, 0]
            self._mirror = self._mirror.to(landmarks.device)
            swapped = landmarks[:, self._mirror]
            landmarks = torch.where(mirrored.to(landmarks.device)[:, None, None], swapped, landmarks)
        return images, landmarks


def build_transform(cfg: dict[str, Any], size: tuple[int, int]) -> torch.nn.Module:
    """Builds an augmentation of kornia, or one that a plugin registered.

    Args:
        cfg: Its config.
        size: (H, W) for those that need a ``size`` and name none.

    Raises:
        ValueError: If there is none of that name, it needs a package that is not here, or what it is shows that it must
            not be used.
    """
    settings: dict[str, Any] = dict(cfg)
    name = settings.pop('type')
    if '.' in name:
        part = MODELS.build({'type': name, **settings})
        _require_kind(type(part), name)
        return part
    if not hasattr(kornia, name):
        raise ValueError(f'kornia.augmentation has no "{name}"' + did_you_mean(name, dir(kornia), '"'))
    cls = getattr(kornia, name)
    _require_kind(cls, name)
    parameters = inspect.signature(cls).parameters
    for key in settings:
        if key not in parameters and not any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
            near = did_you_mean(key, parameters, '"')
            raise ValueError(f'augment: {name} takes no "{key}"{near} (it takes {", ".join(parameters)})')
    if 'size' in parameters:
        settings.setdefault('size', size)
    if 'cropping_mode' in parameters and torch.cuda.is_available():
        settings.setdefault('cropping_mode', 'resample')  # kornia's 'slice' launches its kernels face by face
    # Lists come from configs; kornia wants tuples.
    try:
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    except ImportError as error:
        raise ValueError(f'augment: {name} needs a package that is not here: {error} Or take it out') from None


def refused(name: str, fault: str, detail: str = '') -> ValueError:
    """The sentence for a transform that landmarks do not survive."""
    return ValueError(f'augment: {name} {fault}{detail}; take it out ({_INSTEAD[fault]})')


def _require_kind(cls: Any, name: str) -> None:
    """Raises ValueError where what a transform is made from shows that it must not be used."""
    if not (inspect.isclass(cls) and issubclass(cls, torch.nn.Module)):
        raise ValueError(f'augment: {name} is no transform; name a class such as RandomHorizontalFlip')
    if issubclass(cls, kornia.AugmentationBase3D):
        raise ValueError(f'augment: {name} is for volumes; name a class for pictures, without 3D')
    if issubclass(cls, kornia.MixAugmentationBaseV2):
        raise refused(name, MIXES)
    if issubclass(cls, _AugmentationBase) and not issubclass(cls, kornia.RigidAffineAugmentationBase2D):
        raise refused(name, APART, ', as it has no matrix that could move points')
    if cls.__module__.startswith('kornia.') and not issubclass(cls, _AugmentationBase):
        raise ValueError(f'augment: {name} holds other transforms, and a config can give it none; list them in augment')
