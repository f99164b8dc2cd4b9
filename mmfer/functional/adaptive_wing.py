"""Adaptive wing loss on heatmaps."""

import math
from typing import Any

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
    weight: Tensor | None = None,
) -> Tensor:
    """Elementwise adaptive wing loss: a logarithm near the target, a line far from it.

    The exponent ``alpha - target`` makes it steep where the target is a peak and gentle on the background. See
    `Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression <https://arxiv.org/abs/1904.07399>`_, eq. 3.
    The gradient flows into the prediction only.

    Args:
        prediction: Of the heatmaps.
        target: A constant, at most 1.
        alpha: Exponent where the target is 0; above 2.
        omega: Height.
        epsilon: Width of the logarithm.
        theta: Distance from which the loss is a line.
        weight: Of each element; 1 by default.

    Shapes:
        prediction, target, weight: any, equal.
        returns: the same.
    """
    return _AdaptiveWing.apply(prediction, target, weight, alpha, omega, epsilon, theta)


_PIECE = 2**18
"""Values that a CPU works on at once: 1 MiB of float32."""


class _AdaptiveWing(torch.autograd.Function):
    """Computes value and slope in one go: left to autograd, some fifteen heatmaps would be kept for the backward."""

    @staticmethod
    def forward(
        ctx: Any,
        prediction: Tensor,
        target: Tensor,
        weight: Tensor | None,
        alpha: float,
        omega: float,
        epsilon: float,
        theta: float,
    ) -> Tensor:
        target = target.expand_as(prediction)
        value, slope = torch.empty_like(prediction), torch.empty_like(prediction)
        # A CPU takes pieces that stay in its cache; on a GPU they would only be more launches.
        pieces = 1 if prediction.is_cuda or not prediction.dim() else math.ceil(prediction.numel() / _PIECE)
        maps = [x.chunk(pieces) if pieces > 1 else [x] for x in (prediction, target, value, slope)]
        for given, wanted, result, steepness in zip(*maps, strict=True):
            _wing(given, wanted, result, steepness, alpha, omega, epsilon, theta)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(slope if weight is None else slope.mul_(weight))
        return value if weight is None else value.mul_(weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None, None, None, None, None


def _wing(
    prediction: Tensor,
    target: Tensor,
    value: Tensor,
    slope: Tensor,
    alpha: float,
    omega: float,
    epsilon: float,
    theta: float,
) -> None:
    """Writes the values, and their derivatives with respect to the prediction."""
    # What is used up is overwritten.
    distance = (prediction - target).abs_()
    near = distance < theta
    power = alpha - target
    # The line's steepness and height: value and slope agree with the logarithm's at theta.
    at_theta = (power * math.log(theta / epsilon)).exp_()  # (theta / epsilon) ** power
    line = (power * at_theta).div_(1 + at_theta).mul_(omega / theta)
    torch.sub(distance, theta, out=value).mul_(line).add_(at_theta.log1p_(), alpha=omega)
    del at_theta
    raised = (distance / epsilon).pow(power)  # the only power of the two pieces: slow on CPUs
    torch.where(near, raised.log1p().mul_(omega), value, out=value)
    curve = (power * raised).mul_(omega)
    del power
    curve.div_(raised.add_(1).mul_(distance.clamp_min_(1e-12)))
    del raised, distance
    torch.where(near, curve, line, out=slope)
    slope.copysign_(prediction - target)


def heatmap_loss(prediction: Tensor, target: Tensor, foreground_weight: float = 10.0, threshold: float = 0.2) -> Tensor:
    """Mean adaptive wing loss of each sample's heatmaps, cells around a landmark weighing more.

    A cell counts as foreground where the 3x3-dilated target exceeds `threshold`; without the weight the empty
    background, some 99 % of the cells, decides.

    Shapes:
        prediction, target: [N, L, H, W].
        returns: [N].
    """
    foreground = F.max_pool2d(target, 3, stride=1, padding=1) > threshold
    weight = torch.where(foreground, foreground_weight, 1.0).to(prediction.dtype)
    return adaptive_wing(prediction, target, weight=weight).flatten(1).mean(1)
