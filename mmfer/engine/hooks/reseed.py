"""Randomness as a function of (seed, epoch, iteration, rank)."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.registry import HOOKS


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seeds every generator before each training iteration.

    What an iteration draws then depends on (seed, epoch, iteration, rank) alone: a resumed run augments as the
    uninterrupted one, and no generator's state has to be saved.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds python, numpy and torch."""
        entropy = (runner.seed, runner.epoch, batch_idx, get_rank())
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
