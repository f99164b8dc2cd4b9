"""Random changes of a batch of images and their landmarks together, on the device."""

import inspect
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import kornia.augmentation as kornia
import torch
from kornia.augmentation.base import _AugmentationBase
from mmengine.logging import print_log
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.structures.landmark_probe import APART, MIXES, SIDES, Measured, measure, own_randomness
from mmfer.structures.landmark_sets import MIRROR_68, NUM_POINTS

_INSTEAD = {
    MIXES: 'RandomErasing hides a part of a picture and leaves the others alone',
    APART: 'RandomAffine, RandomPerspective and RandomResizedCrop move both',
    SIDES: 'RandomHorizontalFlip does so',
}
_SIZES = ((128, 160), (256, 320), (512, 640))
"""Of the pictures to measure with: a larger one where a transform, such as a crop to 224 pixels, needs it."""
_measured: dict[tuple, Measured] = {}
"""What was measured in this process: the transforms of a config are built several times."""


class FaceAugmentation:
    """A sequence of kornia augmentations that keeps image and landmarks together.

    One affine map moves both; where it mirrors the face, left and right landmarks change places, so that the left eye
    stays the left eye. Not a module: it has no state that a checkpoint should hold.

    What pictures and landmarks do not survive together is refused, also where no landmarks are there: each transform is
    measured when it is built, see :mod:`mmfer.structures.landmark_probe`.

    Args:
        transforms: Configs; ``type`` is a class of `kornia.augmentation`, or ``'package.Name'`` for one that a plugin
            registered in its `MODELS`.
        size: (H, W) for those that need a ``size`` and name none, such as `RandomResizedCrop`.

    Raises:
        ValueError: If there is no such augmentation, or one that mixes pictures, moves them without their landmarks,
            or confuses left and right landmarks.
    """

    def __init__(self, transforms: Sequence[dict], size: tuple[int, int]):
        self._join([_build(cfg, size) for cfg in transforms])
        for cfg, part in zip(transforms, list(self._images.children()), strict=True):
            _require_fit(cfg, size, type(part))

    @classmethod
    def _unmeasured(cls, cfg: dict, size: tuple[int, int]) -> 'FaceAugmentation':
        augmentation = cls.__new__(cls)
        augmentation._join([_build(cfg, size)])
        return augmentation

    def _join(self, parts: Sequence[torch.nn.Module]) -> None:
        self._images = kornia.AugmentationSequential(*parts, data_keys=['input'])
        self._both = kornia.AugmentationSequential(*parts, data_keys=['input', 'keypoints'])
        self._mirror = torch.tensor(MIRROR_68)

    def __call__(self, images: Tensor, landmarks: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Augments a batch, one draw per image.

        Shapes:
            images: [N, 3, H, W], in [0, 1] (or normalised).
            landmarks: [N, 68, 2] or None.
            returns: images [N, 3, H', W'], landmarks as given.
        """
        if landmarks is None:
            return self._images(images), None
        images, landmarks = self._both(images, landmarks)
        matrix = self._both.transform_matrix
        if matrix is not None and landmarks.size(1) == NUM_POINTS:
            # A mirror, however it came about, is what has a negative determinant.
            mirrored = matrix[:, 0, 0] * matrix[:, 1, 1] < matrix[:, 0, 1] * matrix[:, 1, 0]
            self._mirror = self._mirror.to(landmarks.device)
            swapped = landmarks[:, self._mirror]
            landmarks = torch.where(mirrored.to(landmarks.device)[:, None, None], swapped, landmarks)
        return images, landmarks


def _require_fit(cfg: dict, size: tuple[int, int], cls: type) -> None:
    """Raises ValueError where measuring shows that a transform must not be used."""
    for always in (False, True):
        key = (cls, repr(sorted(cfg.items())), size, always)
        if key not in _measured:
            _measured[key] = _measure(cfg, size, always)
        found = _measured[key]
        if found.fault:
            far = f' (by up to {100 * found.distance:.0f} % of its side)' if found.fault == APART else ''
            raise _refused(cfg['type'], found.fault, far)
    if not found.found:
        print_log(
            f'augment: whether {cfg["type"]} keeps pictures and landmarks together could not be measured (it leaves '
            'nothing of a picture, or draws random numbers of its own); see what it does with '
            'python tools/dataset_tools/browse.py CONFIG',
            logger='current',
            level=logging.WARNING,
        )


def _measure(cfg: dict, size: tuple[int, int], always: bool) -> Measured:
    error, found = None, None
    for picture in _SIZES:
        with own_randomness():
            augmentation = FaceAugmentation._unmeasured(cfg, size)
            if always:
                _do_always(augmentation._images)
            try:
                found = measure(augmentation, picture)
            except Exception as failed:  # of whatever kind: a transform may be anybody's
                error = error or failed
            if found and (found.found or found.fault):
                break
    if found:
        return found
    raise ValueError(
        f'augment: {cfg["type"]} fails on pictures with landmarks: {type(error).__name__} {error}; correct its '
        'parameters, or take it out'
    )


def _do_always(parts: torch.nn.Module) -> None:
    """What is done to one picture of a hundred would hardly be seen while measuring."""
    for module in parts.modules():
        for name in ('p', 'p_batch', 'prob', 'probability'):
            value = getattr(module, name, None)
            if isinstance(value, float) and 0 < value < 1 and not type(module).__module__.startswith('torch.'):
                setattr(module, name, 1.0)


def _refused(name: str, fault: str, detail: str = '') -> ValueError:
    return ValueError(f'augment: {name} {fault}{detail}; take it out ({_INSTEAD[fault]})')


def _build(cfg: dict, size: tuple[int, int]) -> torch.nn.Module:
    settings: dict[str, Any] = dict(cfg)
    name = settings.pop('type')
    if '.' in name:
        part = MODELS.build({'type': name, **settings})
        _require_kind(type(part), name)
        return part
    if not hasattr(kornia, name):
        near = get_close_matches(name, dir(kornia), n=1)
        raise ValueError(f'kornia.augmentation has no "{name}"' + (f'; did you mean "{near[0]}"?' if near else ''))
    cls = getattr(kornia, name)
    _require_kind(cls, name)
    parameters = inspect.signature(cls).parameters
    if 'size' in parameters:
        settings.setdefault('size', size)
    if 'cropping_mode' in parameters and torch.cuda.is_available():
        settings.setdefault('cropping_mode', 'resample')  # kornia's 'slice' launches its kernels face by face
    # Lists come from configs; kornia wants tuples.
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})


def _require_kind(cls: Any, name: str) -> None:
    """Raises ValueError where what a transform is made from shows that it must not be used."""
    if not (inspect.isclass(cls) and issubclass(cls, torch.nn.Module)):
        raise ValueError(f'augment: {name} is no transform; name a class such as RandomHorizontalFlip')
    if issubclass(cls, kornia.AugmentationBase3D):
        raise ValueError(f'augment: {name} is for volumes; name a class for pictures, without 3D')
    if issubclass(cls, kornia.MixAugmentationBaseV2):
        raise _refused(name, MIXES)
    if issubclass(cls, _AugmentationBase) and not issubclass(cls, kornia.RigidAffineAugmentationBase2D):
        raise _refused(name, APART, ', as it has no matrix that could move points')
    if cls.__module__.startswith('kornia.') and not issubclass(cls, _AugmentationBase):
        raise ValueError(f'augment: {name} holds other transforms, and a config can give it none; list them in augment')
