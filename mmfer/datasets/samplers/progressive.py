"""From the data's class frequencies to equal ones, over the epochs."""
from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import MessageHub
from torch.utils.data import Sampler

from mmfer.registry import DATA_SAMPLERS


class LabelledDataset(Protocol):
    """What the sampler needs of a dataset."""

    def get_gt_labels(self) -> np.ndarray:
        """Observed labels, int64 [N]."""


def progressive_counts(counts: np.ndarray, epoch: int, max_epochs: int) -> np.ndarray:
    """How many faces of each class an epoch draws.

    The share of class c is ``(1 - t/T) n_c/N + (t/T)/K`` of N draws. What does not divide goes to the largest
    remainders, the lower class id first; all in integers, so that ties are ties. Classes without a face are not
    among the K.

    Args:
        counts: Faces of each class, int [K].
        epoch: t, from 0; beyond ``max_epochs`` as at ``max_epochs``.
        max_epochs: T.

    Returns:
        int64 [K], with the sum of ``counts``.
    """
    counts = np.asarray(counts, dtype=np.int64)
    present, total, epoch = counts > 0, int(counts.sum()), min(epoch, max_epochs)
    classes = int(present.sum())
    quota = counts * (max_epochs - epoch) * classes + present * (epoch * total)
    draws, remainder = np.divmod(quota, max_epochs * classes)
    extra = np.argsort(-remainder, kind='stable')[:total - int(draws.sum())]
    draws[extra] += 1
    return draws


@DATA_SAMPLERS.register_module()
class ProgressiveSampler(Sampler[int]):
    """Draws classes as often as they occur at first and equally often at last, linear in between.

    Rare expressions would be lost under the data's own frequencies, and repeated too often under equal ones; the
    network first learns from everything, then balances. See `LA-Net <https://arxiv.org/abs/2307.09023>`_. An epoch
    has as many draws as the dataset has faces. Within a class every face is drawn before any is drawn again.

    What is drawn is a function of the seed and the epoch alone: nothing has to be saved to resume.

    Args:
        dataset: With ``get_gt_labels()``, the observed labels.
        max_epochs: Epochs of the whole training. Defaults to None: those of the run.
        seed: The same on every rank. Defaults to None: drawn once and shared.
        round_up: Repeat a few so that every rank gets equally many. Defaults to True.
    """

    def __init__(self, dataset: LabelledDataset, max_epochs: int | None = None, seed: int | None = None,
                 round_up: bool = True):
        if max_epochs is not None and max_epochs < 1:
            raise ValueError(f'ProgressiveSampler(max_epochs=...) must be at least 1, got {max_epochs}')
        if not hasattr(dataset, 'get_gt_labels'):
            raise ValueError(f'ProgressiveSampler needs a dataset with get_gt_labels(), which {type(dataset).__name__} '
                             'has not; use mmfer.FaceDataset, or mmfer.ConcatFaces for several')
        self.rank, self.world_size = get_dist_info()
        self.labels = np.asarray(dataset.get_gt_labels())
        self.max_epochs, self.round_up = max_epochs, round_up
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by MMEngine before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Draws of this rank."""
        if self.round_up:
            return math.ceil(len(self.labels) / self.world_size)
        return math.ceil((len(self.labels) - self.rank) / self.world_size)

    def __iter__(self) -> Iterator[int]:
        drawn = self.draw()
        if self.round_up:
            drawn = np.resize(drawn, len(self) * self.world_size)
        return iter(drawn[self.rank::self.world_size].tolist())

    def draw(self) -> np.ndarray:
        """The rows of this epoch over all ranks, int64 [N]."""
        # Seed and epoch are mixed, not added: else runs with neighbouring seeds would share most epochs. And only
        # random() is drawn, whose bits do not change between numpy versions.
        random = np.random.default_rng([self.seed, self.epoch]).random
        counts = np.bincount(self.labels)
        # RuntimeInfoHook notes max_epochs before the first epoch, so `--cfg-options train_cfg.max_epochs=..` counts.
        max_epochs = self.max_epochs or MessageHub.get_current_instance().runtime_info.get('max_epochs')
        if max_epochs is None:
            raise ValueError('ProgressiveSampler outside a run does not know how many epochs there are: set max_epochs')
        drawn = []
        for label, wanted in enumerate(progressive_counts(counts, self.epoch, max_epochs)):
            rows = np.flatnonzero(self.labels == label)
            rounds = -(-wanted // len(rows)) if wanted else 0
            permutations = [rows[np.argsort(random(len(rows)))] for _ in range(rounds)]
            drawn.append(np.concatenate([*permutations, rows[:0]])[:wanted])
        everything = np.concatenate(drawn)
        return everything[np.argsort(random(len(everything)))]
