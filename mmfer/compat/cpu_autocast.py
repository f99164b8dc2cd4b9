"""Mixed precision on machines without a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmfer.machine import bfloat16_flag
from mmfer.registry import OPTIM_WRAPPERS


# Symptom: `--amp` stops with the assertion `AmpOptimizerWrapper is only available training on gpu, npu, mlu or musa`.
# Upstream: https://github.com/open-mmlab/mmpretrain/issues/1556. Delete when mmengine's wrapper runs on CPUs.
def use_cpu_autocast(cfg: Config) -> None:
    """Takes the CPU's wrapper where a config asks for mixed precision."""
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') not in ('AmpOptimWrapper', 'mmengine.AmpOptimWrapper'):
        return
    wrapper['type'] = 'mmfer.CPUAmpOptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        wrapper.pop(key, None)
    flag = bfloat16_flag()
    speed = 'faster only if it multiplies in it'
    if flag is not None:
        speed = f'which multiplies in it ({flag})' if flag else 'which does not multiply in it: slower than without'
    print_log(f'No GPU: mixed precision is bfloat16 on the CPU, {speed}', 'current')


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Mixed precision in bfloat16 on the CPU; no loss scale, as bfloat16 has float32's range.

    Its checkpoints resume in mmengine's `AmpOptimWrapper` on a GPU, and the other way round.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Casts the forward pass of a training step.

        Args:
            model: The model, for gradient accumulation without synchronisation.
        """
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield
