"""What a class score owes to each cell of a feature map, and how far that agrees with the landmarks (PAL)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmfer.functional.heatmaps import gaussian_profiles

SCORES = ('sum', 'gt', 'pred', 'sum_abs')
KINDS = ('gradient_x_input', 'gradient')
STRATEGIES = ('mean', 'all', 'half')
EPS = 1e-8
"""Added to the standard deviation, as the paper does."""


def class_score(logits: Tensor, score: str = 'sum', label: Tensor | None = None) -> Tensor:
    """The number that is differentiated.

    Args:
        logits: Before the softmax, behind which the sum would be constant.
        score: Sum of all classes (`sum`, the paper's), of their absolute values (`sum_abs`), the observed class (`gt`)
            or the predicted one (`pred`).
        label: The observed classes, for `gt`.

    Shapes:
        logits: [N, K].
        label: [N].
        returns: [N].

    Raises:
        ValueError: If there is no such score, or `gt` has no label.
    """
    if score == 'sum':
        return logits.sum(1)
    if score == 'sum_abs':
        return logits.abs().sum(1)
    if score == 'pred':
        return logits.amax(1)
    if score != 'gt':
        raise ValueError(f'there is no score "{score}"; choose one of {", ".join(SCORES)}')
    if label is None:
        raise ValueError('the score "gt" needs the label')
    return logits.gather(1, label.unsqueeze(1)).squeeze(1)


def attribution(score: Tensor, feature: Tensor, kind: str = 'gradient_x_input', signed: bool = False) -> Tensor:
    """How much each activation contributes to a sample's score; can be differentiated again.

    Where the network behind the map is average pooling and a linear layer, the gradient is the same in every cell, and
    the second derivative costs nothing.

    Args:
        score: Of each sample; a sample's score must not depend on another sample's feature (batch statistics aside).
        feature: Activations that the score was computed from.
        kind: `gradient_x_input`, |dS/df| f, or `gradient`, |dS/df|.
        signed: Whether to leave the absolute value out.

    Shapes:
        score: [N].
        feature: [N, C, H, W], or tokens [N, L, C].
        returns: as `feature`, in float32 for half precision.

    Raises:
        ValueError: If there is no such kind, or the score does not depend on the feature.
    """
    if kind not in KINDS:
        raise ValueError(f'there is no attribution "{kind}"; choose one of {", ".join(KINDS)}')
    # Average pooling divides the gradient by the number of cells, which would push it out of float16's range.
    scale = feature[0, 0].numel() if feature.dtype == torch.float16 else 1
    gradient = None
    if score.requires_grad and feature.requires_grad:
        total = score.sum() * scale
        (gradient,) = torch.autograd.grad(total, feature, create_graph=True, allow_unused=True)
    if gradient is None:
        raise ValueError('the score does not depend on the feature, or one of them needs no gradient')
    if gradient.dtype.itemsize < 4:
        gradient, feature = gradient.float() / scale, feature.float()
    gradient = gradient if signed else gradient.abs()
    return gradient * feature if kind == 'gradient_x_input' else gradient


def landmark_prior(points: Tensor, size: Sequence[int], sigma: float) -> Tensor:
    """Draws where a face's landmarks are: a Gaussian each, summed, the highest cell 1.

    A landmark off the map (or NaN) adds nothing, as in :func:`~mmfer.functional.gaussian_heatmaps`; a face without any
    has a map of zeros.

    Args:
        points: (x, y) in cells of the map, cell centres at whole numbers.
        size: (H, W) of the map.
        sigma: Standard deviation in cells.

    Shapes:
        points: [N, L, 2].
        returns: [N, H, W].
    """
    prior = torch.einsum('nlh,nlw->nhw', *gaussian_profiles(points, size, sigma))  # no map a landmark is made
    highest = prior.amax((1, 2), keepdim=True)
    return prior / torch.where(highest > 0, highest, 1)


def privileged_attribution(
    attribution: Tensor, prior: Tensor, strategy: str | Sequence[int] | Tensor = 'mean'
) -> Tensor:
    """Negative covariance of standardised attribution maps with the prior, summed over the cells.

    ``- sum_ij (a_ij - mean(a)) / (std(a) + eps) * prior_ij`` with the population's standard deviation. A constant map
    (to rounding) has the value 0 and no gradient. The least value, where the attribution is the prior up to scale and
    shift, is ``-H W std(prior)``.

    Args:
        attribution: Maps.
        prior: Where they should be high.
        strategy: Which maps: the mean over all channels (`mean`), over the first half (`half`: the others are free),
            over some channels by number, or every channel by itself, summed (`all`).

    Shapes:
        attribution: [N, C, H, W].
        prior: [N, H, W].
        returns: [N].

    Raises:
        ValueError: If there is no such strategy or channel.
    """
    maps = _chosen(attribution, strategy)
    centred = maps - maps.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3))
    # What a mean over equal cells may differ by; standardising it would make noise of full size.
    rounding = 8 * torch.finfo(maps.dtype).eps * maps.detach().abs().amax((2, 3))
    varies = variance > rounding.square()
    std = torch.where(varies, variance, 1).sqrt()  # before the root, whose slope at 0 is infinite
    agreement = (centred * prior.unsqueeze(1)).sum((2, 3)) / (std + EPS)
    return -torch.where(varies, agreement, 0).sum(1)


def _chosen(attribution: Tensor, strategy: str | Sequence[int] | Tensor) -> Tensor:
    """The maps that a strategy compares, [N, M, H, W]."""
    channels = attribution.size(1)
    if isinstance(strategy, Tensor):  # numbers that are on the device already, and checked
        return attribution.index_select(1, strategy).mean(1, keepdim=True)
    if not isinstance(strategy, str):
        numbers = checked_channels(strategy, channels)
        return attribution.index_select(1, torch.tensor(numbers, device=attribution.device)).mean(1, keepdim=True)
    if strategy == 'all':
        return attribution
    if strategy == 'mean':
        return attribution.mean(1, keepdim=True)
    if strategy == 'half':
        return attribution[:, : max(1, channels // 2)].mean(1, keepdim=True)
    raise ValueError(f'there is no strategy "{strategy}"; choose one of {", ".join(STRATEGIES)}, or channel numbers')


def checked_channels(numbers: Sequence[int], channels: int | None = None) -> list[int]:
    """Channel numbers as a list.

    Raises:
        ValueError: If there are none, or they are no different whole numbers from 0 to below `channels`.
    """
    chosen = list(numbers)
    whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in chosen)
    if not chosen or not whole or len(set(chosen)) < len(chosen):
        raise ValueError(f'strategy takes {", ".join(STRATEGIES)} or different channel numbers from 0, not {chosen}')
    if channels is not None and max(chosen) >= channels:
        raise ValueError(f'strategy names channel {max(chosen)}, but the tapped map has {channels} channels')
    return chosen
