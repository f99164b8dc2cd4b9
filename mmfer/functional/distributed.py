"""Sums and gathers over the ranks that let gradients through.

The law of mmfer: every rank computes the same loss of the **global** batch. With these functions the gradient that
reaches a rank's own rows is W times that of the loss (each of the W ranks contributes one), and the average that
DistributedDataParallel takes over ranks makes it right again, for parameters before and after the gather alike. So 2
ranks with B/2 rows each train as 1 rank with B rows does. Without a process group all of them are identities.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of ranks; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _SumOverRanks.apply(grad)  # as a function of its own, so that losses on gradients pass through too


def sum_over_ranks(x: Tensor) -> Tensor:
    """Sums a tensor over the ranks; the backward pass sums the gradients likewise.

    Shapes:
        x: any, the same on every rank.
        returns: the same.
    """
    return _SumOverRanks.apply(x) if world_size() > 1 else x


def rows_per_rank(rows: int) -> Callable[[], list[int]]:
    """Asks how many rows each rank holds; collective.

    The numbers go from host to host, and what is returned waits for theirs only: no device has to finish a step first.

    Args:
        rows: Of this rank.

    Returns:
        Gives the numbers, in rank order.
    """
    if world_size() == 1:
        return lambda: [rows]
    counts = torch.zeros(world_size(), dtype=torch.int64, device='cpu')
    counts[dist.get_rank()] = rows
    work = dist.all_reduce(counts, group=_between_hosts(), async_op=True)

    def answer() -> list[int]:
        work.wait()
        return counts.tolist()

    return answer


_hosts: list[Any] = []  # the process group, and the one between its hosts


def _between_hosts() -> Any:
    """A group of all ranks whose collectives are of the CPU."""
    if not _hosts or _hosts[0] is not dist.group.WORLD:
        gloo = dist.get_backend() == dist.Backend.GLOO
        _hosts[:] = [dist.group.WORLD, dist.group.WORLD if gloo else dist.new_group(backend='gloo')]
    return _hosts[1]


def gather_rows(x: Tensor, counts: list[int] | None = None) -> Tensor:
    """Stacks the rows of all ranks in rank order; the backward pass sums the ranks' gradients.

    Ranks may hold different numbers of rows (the last batch of an epoch).

    Args:
        x: This rank's rows.
        counts: Rows of each rank, where the caller knows them already (:func:`rows_per_rank`); saves a collective.

    Shapes:
        x: [n, ...].
        returns: [N, ...], N the sum of n over the ranks.
    """
    if world_size() == 1:
        return x
    counts = counts or rows_per_rank(len(x))()
    kind = torch.uint8 if x.dtype == torch.bool else x.dtype  # gloo does not sum booleans
    # A sum of zero-padded blocks: one collective for any row counts, and its gradient is `sum_over_ranks` again.
    rank = dist.get_rank()
    before, after = sum(counts[:rank]), sum(counts[rank + 1 :])
    rest = x.shape[1:]
    padded = torch.cat([x.new_zeros(before, *rest), x, x.new_zeros(after, *rest)]).to(kind)
    gathered = _SumOverRanks.apply(padded) if x.requires_grad else _sum(padded)
    return gathered.to(x.dtype)


def _sum(x: Tensor) -> Tensor:
    dist.all_reduce(x)
    return x


def mean_over_ranks(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of per-sample values over the global batch; 0 where no sample counts.

    Args:
        values: This rank's values.
        mask: Which of them count; all by default.

    Shapes:
        values, mask: [n].
        returns: scalar, equal on all ranks.
    """
    mask = torch.ones_like(values, dtype=torch.bool) if mask is None else mask
    total = sum_over_ranks(torch.where(mask, values, 0).sum())
    count = sum_over_ranks(mask.sum().to(values.dtype))
    return total / count.clamp_min(1)
