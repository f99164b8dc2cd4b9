"""Adaptive wing loss on heatmaps."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def adaptive_wing(
    prediction: Tensor,
    target: Tensor,
    alpha: float = 2.1,
    omega: float = 14.0,
    epsilon: float = 1.0,
    theta: float = 0.5,
) -> Tensor:
    """Elementwise adaptive wing loss: a logarithm near the target, a line far from it.

    The exponent ``alpha - target`` makes it steep where the target is a peak and gentle on the background. See
    `Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression <https://arxiv.org/abs/1904.07399>`_, eq. 3.

    Shapes:
        prediction, target: any, equal.
        returns: the same.
    """
    error = (prediction - target).abs()
    power = alpha - target
    # Slope and offset of the line, chosen so that value and slope agree with the logarithm at theta.
    ratio = (power * math.log(theta / epsilon)).exp()  # (theta / epsilon) ** power
    slope = omega * power * ratio / (theta * (1 + ratio))
    offset = theta * slope - omega * torch.log1p(ratio)
    # 0 ** power has an infinite second derivative for power < 2: keep the base off zero, the value changes by < 1e-12.
    near = omega * torch.log1p((error.clamp_min(1e-12) / epsilon) ** power)
    return torch.where(error < theta, near, slope * error - offset)


def heatmap_loss(
    prediction: Tensor, target: Tensor, foreground_weight: float = 10.0, threshold: float = 0.2
) -> Tensor:
    """Mean adaptive wing loss of each sample's heatmaps, cells around a landmark weighing more.

    A cell counts as foreground where the 3x3-dilated target exceeds `threshold`; without the weight the empty
    background, some 99 % of the cells, decides.

    Shapes:
        prediction, target: [N, L, H, W].
        returns: [N].
    """
    foreground = F.max_pool2d(target, 3, stride=1, padding=1) > threshold
    loss = adaptive_wing(prediction, target)
    return (loss + (foreground_weight - 1) * loss * foreground).flatten(1).mean(1)
