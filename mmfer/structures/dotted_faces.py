"""Pictures with the landmarks of a face, and dots painted at some of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BATCH = 8
"""Pictures of a round; the even ones get dots, the odd ones show whether anything of a dot arrives elsewhere."""
DOT = 0.4
"""Height of a dot, of pictures in [0, 1]."""


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


def patched_faces(size: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Pictures of soft grey patches, and a face's landmarks on each, shifted a little."""
    generator = torch.Generator().manual_seed(seed)
    patches = 0.3 + 0.2 * torch.rand(BATCH, 3, 5, 5, generator=generator)
    pictures = F.interpolate(patches, size, mode='bilinear', align_corners=True)
    pictures[..., 0, 0], pictures[..., 0, -1] = 0, 1  # a dot shall not be what contrast is stretched to
    shift = 0.06 * (torch.rand(BATCH, 1, 2, generator=generator) - 0.5)
    return pictures, (frontal_face() + shift) * torch.tensor([size[1], size[0]]) - 0.5


def with_dots(pictures: Tensor, points: Tensor, which: Sequence[int]) -> Tensor:
    """The pictures with a dot each at one of their landmarks; every second one stays as it is.

    Shapes:
        pictures: [N, 3, H, W]; points: [N, 68, 2]; which: N landmarks.
    """
    height, width = pictures.shape[-2:]
    centre = points[torch.arange(BATCH), torch.tensor(which)]
    x, y = torch.arange(width) - centre[:, :1], torch.arange(height) - centre[:, 1:]
    dots = DOT * torch.exp(-(y[:, :, None] ** 2 + x[:, None, :] ** 2) / (2 * max(width / 40, 1.5) ** 2))
    dots[1::2] = 0
    return pictures + dots[:, None]
