"""In which precision this machine trains fast."""

import torch

from mmfer.machine import bfloat16_flag

_HALF_PRECISION_CORES = (7, 0)
"""The compute capability from which NVIDIA's GPUs multiply matrices of 16-bit numbers faster than float32."""


def amp_is_fast() -> bool:
    """Whether mixed precision is faster here: on a GPU with cores for it, or a CPU that multiplies in bfloat16."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= _HALF_PRECISION_CORES
    return bool(bfloat16_flag())
