"""Running statistics of batch norm, which differ between the processes until an epoch ends.

`SyncBuffersHook` averages them there. A checkpoint that is written before has those of every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

KEY = 'mmfer_rank_statistics'


def statistics_of_ranks(model: nn.Module) -> list[dict[str, Tensor]]:
    """Mean and variance of every batch norm by name, a dict for each process; every process must call it."""
    own = {
        f'{place}.{name}'.lstrip('.'): buffer.detach().cpu()
        for place, module in model.named_modules()
        if isinstance(module, _NormBase)
        for name, buffer in module.named_buffers(recurse=False)
        if buffer.is_floating_point()
    }
    return all_gather_object(own) if get_world_size() > 1 else []


def take_own(state: dict[str, Any], ranks: Sequence[Mapping[str, Tensor]]) -> None:
    """Puts this process's own statistics into the weights that it loads; the mean, where there were more or fewer.

    Args:
        state: The weights by name; changed in place.
        ranks: What `statistics_of_ranks` gave.
    """
    if not ranks:
        return
    same = len(ranks) == get_world_size()
    for name in ranks[0]:
        if name in state:
            mean = torch.stack([rank[name] for rank in ranks]).mean(0)
            state[name] = (ranks[get_rank()][name] if same else mean).to(state[name].device)
