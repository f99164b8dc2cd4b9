"""Random changes of a batch of images and their landmarks together, on the device."""

import inspect
from collections.abc import Sequence
from difflib import get_close_matches

import kornia.augmentation as kornia
import torch
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.structures.landmark_sets import MIRROR_68, NUM_POINTS


class FaceAugmentation:
    """A sequence of kornia augmentations that keeps image and landmarks together.

    One affine map moves both; where it mirrors the face, left and right landmarks change places, so that the left eye
    stays the left eye. Not a module: it has no state that a checkpoint should hold.

    Args:
        transforms: Configs; ``type`` is a class of `kornia.augmentation`, or ``'package.Name'`` for one that a plugin
            registered in its `MODELS`.
        size: (H, W) for those that need a ``size`` and name none, such as `RandomResizedCrop`.

    Raises:
        ValueError: If there is no such augmentation.
    """

    def __init__(self, transforms: Sequence[dict], size: tuple[int, int]):
        parts = [_build(dict(cfg), size) for cfg in transforms]
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


def _build(cfg: dict, size: tuple[int, int]) -> torch.nn.Module:
    name = cfg.pop('type')
    if '.' in name:
        return MODELS.build({'type': name, **cfg})
    if not hasattr(kornia, name):
        near = get_close_matches(name, dir(kornia), n=1)
        raise ValueError(f'kornia.augmentation has no "{name}"' + (f'; did you mean "{near[0]}"?' if near else ''))
    cls = getattr(kornia, name)
    parameters = inspect.signature(cls).parameters
    if 'size' in parameters:
        cfg.setdefault('size', size)
    if 'cropping_mode' in parameters and torch.cuda.is_available():
        cfg.setdefault('cropping_mode', 'resample')  # kornia's 'slice' launches its kernels face by face
    # Lists come from configs; kornia wants tuples.
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in cfg.items()})
