"""Mixed precision: how a config gets it, and whether it is fast on this machine."""

import torch
from mmengine.config import Config

from mmfer.machine import bfloat16_flag

_HALF_PRECISION_CORES = (7, 0)
"""The compute capability from which NVIDIA's GPUs multiply matrices of 16-bit numbers faster than float32."""


def amp_is_fast() -> bool:
    """Whether mixed precision is faster here: on a GPU with cores for it, or a CPU that multiplies in bfloat16."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= _HALF_PRECISION_CORES
    return bool(bfloat16_flag())


def mix_precision(cfg: Config) -> None:
    """Lets a config train in bfloat16, or in float16 on GPUs that have no other; what it says of that holds."""
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        cfg.optim_wrapper.setdefault('dtype', 'bfloat16')  # the range of float32: nothing to scale
        cfg.optim_wrapper.setdefault('loss_scale', 1.0)
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
