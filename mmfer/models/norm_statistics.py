"""Statistics for batch norms that have none, so that training begins where testing is."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_PICTURES, _SIZE = 64, 96


@torch.no_grad()
def estimate_statistics(net: nn.Module, source: str = 'the file') -> None:
    """Gives batch norms mean and variance of what reaches them, and scales that undo it: testing stays as it was.

    A network that was deployed with its batch norm folded away has mean 0 and variance 1 in their place. In its first
    step of training batch norm would divide by another variance, and the scales fit no longer. The pictures are noise
    with as much of each size of detail as photos have: training begins about as well as after faces
    (docs/backbones.md), and none are at hand here.

    Args:
        net: The network, changed in place; its inputs have mean 0 and variance 1.
        source: Where its weights come from.

    Raises:
        ValueError: The weights make values of it that are not finite.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    seen: dict[nn.Module, Tensor] = {}
    hooks = [norm.register_forward_pre_hook(partial(_note, seen)) for norm in norms]
    was_training = net.training
    try:
        net.eval()(_noise().to(norms[0].weight))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    for norm in norms:
        x, mean, var = seen[norm].double(), cast('Tensor', norm.running_mean), cast('Tensor', norm.running_var)
        if not x.isfinite().all():
            raise ValueError(f'{source} has weights of which values without end come: check that the file is whole')
        scale = norm.weight / (var + norm.eps).sqrt()
        shift = norm.bias - scale * mean
        mean.copy_(x.mean((0, 2, 3)))
        var.copy_(x.var((0, 2, 3)))
        norm.weight.copy_(scale * (var + norm.eps).sqrt())
        norm.bias.copy_(shift + scale * mean)


def _note(seen: dict[nn.Module, Tensor], norm: nn.Module, inputs: tuple[Tensor]) -> None:
    seen[norm] = inputs[0]


def _noise() -> Tensor:
    """Grey pictures [N, 3, S, S] whose detail falls off with its size as that of photos does."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.zeros(_PICTURES, 1, _SIZE, _SIZE)
    for side in (2, 4, 8, 16, 32):
        blots = torch.randn(_PICTURES, 1, side, side, generator=generator) / side**0.5
        pictures += F.interpolate(blots, (_SIZE, _SIZE), mode='bicubic')
    return (pictures / pictures.std()).expand(-1, 3, -1, -1)
