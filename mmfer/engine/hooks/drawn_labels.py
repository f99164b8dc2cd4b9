"""A label for every face, drawn from its votes anew in each epoch."""

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmfer.engine.dataset_parts import face_datasets
from mmfer.registry import HOOKS
from mmfer.structures import FaceBatch

_VOTES = int.from_bytes(b'vote', 'big')
"""Keeps the draws apart from those of samplers and of ReseedHook, which begin with seed and epoch, too."""


@HOOKS.register_module()
class DrawnLabelsHook(Hook):
    """Puts a label that is drawn from a face's votes in their place, before each training iteration.

    That is the probability scheme of `FER+ <https://arxiv.org/abs/1608.01041>`_, for data sets that say
    ``draws_labels``. Over the epochs a face has each label as often as its share of the votes says. What is drawn is
    a function of (seed, epoch, sample_idx): whatever the batch, the worker or the process a face comes in, and in a
    resumed run. The observed label, which the per-sample memory begins with, stays the one with most votes.

    :func:`mmfer.apis.train` adds it to a run that needs it. It works on the CPU, before a batch goes to the device.
    """

    priority = 'NORMAL'

    def __init__(self) -> None:
        self._drawn = torch.empty(0, dtype=torch.bool)  # whose label is drawn, of all training faces
        self._epoch, self._draws = -1, torch.empty(0)

    def before_train(self, runner: Runner) -> None:
        """Notes which faces of the training set have their label drawn."""
        parts = list(face_datasets(runner.train_dataloader.dataset))
        self._drawn = torch.cat([torch.full((len(part),), part.draws_labels) for part in parts])

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Draws the labels of a batch."""
        batch = data_batch['data_samples']
        if not isinstance(batch, FaceBatch):
            batch = data_batch['data_samples'] = FaceBatch.from_data_samples(batch)
        if batch.score is None:  # added label noise takes the votes out
            return
        if self._epoch != runner.epoch:
            generator = np.random.default_rng((runner.seed, runner.epoch, _VOTES))
            # Only random() is drawn: its bits are fixed by the generator, other methods may change with numpy.
            self._epoch, self._draws = runner.epoch, torch.from_numpy(generator.random(len(self._drawn)))
        label = draw_labels(batch.score, self._draws[batch.sample_idx])
        # In place, so that it stays in page-locked memory: a batch is a copy of the data set's votes.
        batch.score.copy_(torch.where(self._drawn[batch.sample_idx, None], label, batch.score))


def draw_labels(shares: Tensor, draws: Tensor) -> Tensor:
    """One label a face: 1 for the class that its draw falls on, 0 for the others.

    Args:
        shares: Of the classes, [N, K], with a sum of 1.
        draws: In [0, 1), float64 [N].

    Returns:
        Like ``shares``.
    """
    upto = shares.double().cumsum(1)
    upto /= upto[:, -1:].clone()  # exactly 1 at the end, so that rounding never runs past the last class
    label = torch.searchsorted(upto, draws[:, None], right=True)
    return torch.zeros_like(shares).scatter_(1, label, 1)
