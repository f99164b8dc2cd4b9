"""Sample importance: who counts as certain, and by how much they must differ (SCN's rank regularization)."""

from fractions import Fraction

import torch
from torch import Tensor


def high_group(importance: Tensor, ratio: float = 0.7) -> Tensor:
    """Marks the most important samples of a batch.

    Args:
        importance: One value a sample; the order of equal values counts, the earlier is the higher.
        ratio: Share of the batch that is marked, rounded half up; at least one sample is and at least one is not.

    Shapes:
        importance: [N].
        returns: [N], bool.
    """
    order = importance.detach().argsort(descending=True, stable=True)
    high = torch.zeros_like(importance, dtype=torch.bool)
    return high.scatter_(0, order[: _high_count(len(importance), ratio)], True)


def group_means(importance: Tensor, ratio: float = 0.7) -> tuple[Tensor, Tensor]:
    """Mean importance of the high and of the low group of :func:`high_group`.

    Shapes:
        importance: [N], N > 1.
        returns: two scalars.
    """
    ranked = importance.sort(descending=True, stable=True).values
    count = _high_count(len(importance), ratio)
    return ranked[:count].mean(), ranked[count:].mean()


def rank_regularization(importance: Tensor, margin: float | Tensor = 0.15, ratio: float = 0.7) -> Tensor:
    """How much the gap between the two groups' mean importance falls short of a margin.

    ``max(0, margin - (mean high - mean low))``, `SCN <https://arxiv.org/abs/2002.10392>`_, eq. 2.

    Shapes:
        importance: [N].
        returns: scalar; 0 where there are no two groups (N < 2).
    """
    if len(importance) < 2:
        return 0 * (importance.sum() + margin)  # with a graph, so that a backward pass finds one
    high, low = group_means(importance, ratio)
    return (margin - (high - low)).relu()


def _high_count(size: int, ratio: float) -> int:
    """``ratio * size`` rounded half up, in fractions: .29 * 50 is 14.499999999999998 as a float."""
    rounded = int((2 * Fraction(str(ratio)) * size + 1) // 2)
    return min(max(rounded, 1), max(size - 1, 1))
