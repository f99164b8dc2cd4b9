"""What kornia's usual augmentations do to a batch, each with a few kernels.

A pass comes in two steps: on the host, kornia's draws become a few numbers a face; on the device, these numbers change
images and landmarks. Nothing waits for the device.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import kornia.augmentation as kornia
import torch
import torch.nn.functional as F
from kornia import enhance
from torch import Tensor

from mmfer.structures.landmark_sets import MIRROR_68, NUM_POINTS

Draws = Mapping[str, Tensor]
"""What a part of kornia drew for a batch, on the host."""
Change = Callable[[Tensor, Tensor | None, Tensor], tuple[Tensor, Tensor | None]]
"""Of images [N, 3, H, W], landmarks [N, P, 2] and numbers [N, K], all on the device."""
Pass = Callable[[Sequence[Any], Sequence[Draws], Sequence[int]], tuple[Tensor, Change]]
"""From parts, their draws and the shape of the images: numbers [N, K] on the host, and what is done with them."""

_FACTORS = ('brightness_factor', 'contrast_factor', 'saturation_factor', 'hue_factor')
_NEUTRAL = (1.0, 1.0, 1.0, 0.0)
_ADJUST = (
    enhance.adjust_brightness_accumulative,
    enhance.adjust_contrast_with_mean_subtraction,
    enhance.adjust_saturation_with_gray_subtraction,
    enhance.adjust_hue,
)


def mirror(parts: Sequence[Any], draws: Sequence[Draws], shape: Sequence[int]) -> tuple[Tensor, Change]:
    """Mirrors: pixels change places, and nothing is interpolated."""
    numbers = torch.cat([_carry(_matrix(parts, draws, shape)), *(_applied(drawn) for drawn in draws)], dim=1)
    axes = [-1 if isinstance(part, kornia.RandomHorizontalFlip) else -2 for part in parts]

    def change(images: Tensor, landmarks: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
        for axis, flag in zip(axes, numbers[:, _CARRY:].unbind(1), strict=True):
            images = torch.where(_by_face(flag) > 0, images.flip(axis), images)
        return images, _carried(landmarks, numbers)

    return numbers, change


def sample(parts: Sequence[Any], draws: Sequence[Draws], shape: Sequence[int]) -> tuple[Tensor, Change]:
    """One resampling, and mirrors before and after it, as one affine map: each pixel is interpolated once."""
    resampling = next(part for part in parts if 'resample' in part.flags)
    height, width = resampling.flags.get('size', shape[-2:])
    padding = resampling.flags.get('padding_mode', 'zeros')
    padding = padding if isinstance(padding, str) else padding.name.lower()
    forward = _matrix(parts, draws, shape)
    # grid_sample takes places from -1 to 1: from those of the result's pixels to those of the images'.
    read = torch.linalg.inv(_from_unit(*shape[-2:])) @ torch.linalg.inv(forward) @ _from_unit(height, width)
    numbers = torch.cat([_carry(forward), read[:, :2].mT.flatten(1)], dim=1)

    def change(images: Tensor, landmarks: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
        by_x, by_y, shift = numbers[:, None, _CARRY:].split(2, dim=2)
        x, y = (torch.linspace(-1, 1, count, device=images.device)[:, None] for count in (width, height))
        # Sums and products by hand: a matrix product may read 10 bits of a number, a tenth of a pixel.
        grid = torch.addcmul(shift, y, by_y)[:, :, None] + (x * by_x)[:, None]
        images = F.grid_sample(images, grid, padding_mode=padding, align_corners=True)
        return images, _carried(landmarks, numbers)

    return numbers, change


def jitter(parts: Sequence[Any], draws: Sequence[Draws], shape: Sequence[int]) -> tuple[Tensor, Change]:
    """Brightness, contrast, saturation and hue, in the order that was drawn."""
    (part,), (drawn,) = parts, draws
    factors = torch.stack([_of_each(drawn[name], drawn) for name in _FACTORS], dim=1)
    acts = [bool((factors[:, step] != neutral).any()) for step, neutral in enumerate(_NEUTRAL)]
    order = [step for step in getattr(part, '_fixed_order', None) or drawn['order'].tolist() if acts[step]]
    factors[:, -1] *= 2 * math.pi  # kornia draws turns
    to_all = part.p == 1

    def change(images: Tensor, landmarks: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
        changed = images.clamp(0, 1)
        for step in order:
            changed = _ADJUST[step](changed, numbers[:, step])
        changed = changed.clamp_(0, 1)
        return changed if to_all else torch.where(_by_face(numbers[:, -1]) > 0, changed, images), landmarks

    return torch.cat([factors, _applied(drawn)], dim=1), change


def erase(parts: Sequence[Any], draws: Sequence[Draws], shape: Sequence[int]) -> tuple[Tensor, Change]:
    """A box in which nothing is left; one without pixels where nothing is erased."""
    (drawn,) = draws
    x, y, width, height, value = (
        _of_each(drawn[name], drawn)[:, None] for name in ('xs', 'ys', 'widths', 'heights', 'values')
    )
    applied = _applied(drawn)
    numbers = torch.cat([x, y, x + width * applied, y + height * applied, value], dim=1)

    def change(images: Tensor, landmarks: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
        height, width = images.shape[-2:]
        start, end = numbers[:, :4, None].split(2, dim=1)
        place = torch.arange(max(height, width), device=images.device)
        inside = (place >= start) & (place < end)  # [N, x and y, places]
        box = inside[:, :1, None, :width] & inside[:, 1:, :height, None]
        return torch.where(box, _by_face(numbers[:, -1]), images), landmarks

    return numbers, change


def add_noise(parts: Sequence[Any], draws: Sequence[Draws], shape: Sequence[int]) -> tuple[Tensor, Change]:
    """Gaussian noise, drawn on the device: there are as many numbers as in the images, which need not travel."""
    (part,), (drawn,) = parts, draws
    settings = part.flags if 'std' in part.flags else vars(part._param_generator)  # the flags of kornia below 0.9
    mean, std = settings['mean'], settings['std']

    def change(images: Tensor, landmarks: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor | None]:
        noise = torch.randn(images.shape, device=images.device, dtype=images.dtype)
        noise = noise.mul_(std).add_(mean).mul_(_by_face(numbers[:, 0]))
        return images + noise, landmarks

    return _applied(drawn), change


_CARRY = 7
"""Numbers of a face that carry its landmarks: columns x, y and shift of an affine map, and whether it mirrors."""


def _carry(forward: Tensor) -> Tensor:
    """Of maps [N, 3, 3] in pixels."""
    return torch.cat([forward[:, :2].mT.flatten(1), torch.linalg.det(forward[:, :2, :2])[:, None] < 0], dim=1)


def _carried(landmarks: Tensor | None, numbers: Tensor) -> Tensor | None:
    if landmarks is None:
        return None
    by_x, by_y, shift = numbers[:, None, : _CARRY - 1].split(2, dim=2)
    x, y = landmarks.split(1, dim=2)
    landmarks = torch.addcmul(torch.addcmul(shift, x, by_x), y, by_y)
    if landmarks.size(1) != NUM_POINTS:
        return landmarks
    swapped = landmarks.index_select(1, _mirrored_points(landmarks.device))
    return torch.where(numbers[:, None, _CARRY - 1 : _CARRY] > 0, swapped, landmarks)


@cache
def _mirrored_points(device: torch.device) -> Tensor:
    return torch.tensor(MIRROR_68, device=device)


def _matrix(parts: Sequence[Any], draws: Sequence[Draws], shape: Sequence[int]) -> Tensor:
    """What moves points as parts of kornia do, one after the other: [N, 3, 3], float64, on the host."""
    size, forward = list(shape), torch.eye(3, dtype=torch.float64)
    for part, drawn in zip(parts, draws, strict=True):
        nothing = torch.empty(1).expand(size)  # kornia asks images for no more than shape, kind and device
        forward = part.generate_transformation_matrix(nothing, drawn, part.flags).double() @ forward
        size[-2:] = part.flags.get('size', size[-2:])
    return forward


def _from_unit(height: int, width: int) -> Tensor:
    """From places in -1 ... 1 to pixels, corner on corner: [3, 3]."""
    x, y = (width - 1) / 2, (height - 1) / 2
    return torch.tensor([[x, 0, x], [0, y, y], [0, 0, 1]], dtype=torch.float64)


def _applied(drawn: Draws) -> Tensor:
    """Which faces a part acts on, [N, 1]: 1 or 0."""
    return (drawn['batch_prob'] > 0.5).float()[:, None]


def _of_each(values: Tensor, drawn: Draws) -> Tensor:
    """A number for each face [N]: kornia below 0.9 draws only for those that it acts on."""
    applied = drawn['batch_prob'] > 0.5
    return values if len(values) == len(applied) else values.new_zeros(len(applied)).masked_scatter(applied, values)


def _by_face(numbers: Tensor) -> Tensor:
    """[N] as [N, 1, 1, 1]."""
    return numbers[:, None, None, None]
