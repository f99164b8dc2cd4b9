"""Epochs with a chosen number of faces of each class."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmfer.datasets.samplers.in_pieces import in_pieces


class LabelledDataset(Protocol):
    """What the samplers need of a dataset."""

    def get_gt_labels(self) -> np.ndarray:
        """Observed labels, int64 [N]."""


class ClassSampler(Sampler[int]):
    """Draws each epoch as many faces of each class as `draws_of_classes` says, in random order.

    Within a class every face is drawn before any is drawn again. What is drawn is a function of the seed and the epoch
    alone: nothing has to be saved to resume.

    Args:
        dataset: With ``get_gt_labels()``, the observed labels.
        seed: The same on every rank. Defaults to None: drawn once and shared.
        round_up: Repeat a few so that every rank gets equally many. Defaults to True.
    """

    def __init__(self, dataset: LabelledDataset, seed: int | None = None, round_up: bool = True):
        if not hasattr(dataset, 'get_gt_labels'):
            raise ValueError(
                f'{type(self).__name__} needs a dataset with get_gt_labels(), which '
                f'{type(dataset).__name__} has not; use mmfer.FaceDataset, or mmfer.ConcatFaces for '
                'several'
            )
        self.rank, self.world_size = get_dist_info()
        labels = np.asarray(dataset.get_gt_labels())
        self.counts = np.bincount(labels)
        """Faces of each class, int [K]."""
        self.labels = labels.astype(np.min_scalar_type(len(self.counts)))  # a byte a face, and not eight
        self.round_up = round_up
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    @property
    def total(self) -> int:
        """Draws of an epoch over all ranks, the same in every epoch."""
        return len(self.labels)

    @abstractmethod
    def draws_of_classes(self) -> np.ndarray:
        """Draws of each class in this epoch, int [K], with sum `total`; 0 for classes without a face."""

    def set_epoch(self, epoch: int) -> None:
        """Called by MMEngine before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Draws of this rank."""
        if self.round_up:
            return math.ceil(self.total / self.world_size)
        return math.ceil((self.total - self.rank) / self.world_size)

    def __iter__(self) -> Iterator[int]:
        drawn = self.draw()
        if self.round_up and len(drawn) % self.world_size:
            drawn = np.resize(drawn, len(self) * self.world_size)
        return in_pieces(drawn[self.rank :: self.world_size])

    def draw(self) -> np.ndarray:
        """The rows of this epoch over all ranks, int32 [total]."""
        # Seed and epoch are mixed, not added: else runs with neighbouring seeds would share most epochs. And only
        # random() is drawn, whose bits do not change between numpy versions.
        random = np.random.default_rng([self.seed, self.epoch]).random
        drawn = []
        for label, wanted in enumerate(self.draws_of_classes()):
            rows = np.flatnonzero(self.labels == label).astype(np.int32)
            rounds = -(-wanted // len(rows)) if wanted else 0
            permutations = [rows[np.argsort(random(len(rows)))] for _ in range(rounds)]
            drawn.append(np.concatenate([*permutations, rows[:0]])[:wanted])
        everything = np.concatenate(drawn)
        drawn.clear()  # before more is made of it
        return everything[np.argsort(random(len(everything)))]
