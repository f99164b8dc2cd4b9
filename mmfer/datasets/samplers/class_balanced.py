"""Equally many faces of every class, with a cap."""

from __future__ import annotations

import numpy as np

from mmfer.datasets.samplers.by_class import ClassSampler, LabelledDataset
from mmfer.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(ClassSampler):
    """Draws exactly ``per_class`` faces of every class in every epoch.

    Of a larger class each epoch sees another random part, the faces of a smaller one are repeated. It keeps epochs of
    large, strongly imbalanced sets short (AffectNet: 280,000 faces, almost half of them happy), as the resampling of
    `ARM <https://arxiv.org/abs/2103.10189>`_ does. Classes without a face are left out.

    What is drawn is a function of the seed and the epoch alone: nothing has to be saved to resume.

    Args:
        dataset: With ``get_gt_labels()``, the observed labels.
        per_class: Draws of each class in an epoch. Defaults to None: the mean size of the classes, rounded.
        seed: The same on every rank. Defaults to None: drawn once and shared.
        round_up: Repeat a few so that every rank gets equally many. Defaults to True.
    """

    def __init__(
        self, dataset: LabelledDataset, per_class: int | None = None, seed: int | None = None, round_up: bool = True
    ):
        if per_class is not None and per_class < 1:
            raise ValueError(f'ClassBalancedSampler(per_class=...) must be at least 1, got {per_class}')
        super().__init__(dataset, seed, round_up)
        self.present = self.counts > 0
        classes = int(self.present.sum())
        self.per_class = per_class or (2 * len(self.labels) + classes) // (2 * classes)

    @property
    def total(self) -> int:
        """Draws of an epoch over all ranks."""
        return self.per_class * int(self.present.sum())

    def draws_of_classes(self) -> np.ndarray:
        """The same for every class that has a face."""
        return self.per_class * self.present
