"""From the data's class frequencies to equal ones, over the epochs."""

from __future__ import annotations

import numpy as np
from mmengine.logging import MessageHub

from mmfer.datasets.samplers.by_class import ClassSampler, LabelledDataset
from mmfer.registry import DATA_SAMPLERS


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
    extra = np.argsort(-remainder, kind='stable')[: total - int(draws.sum())]
    draws[extra] += 1
    return draws


@DATA_SAMPLERS.register_module()
class ProgressiveSampler(ClassSampler):
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

    def __init__(
        self, dataset: LabelledDataset, max_epochs: int | None = None, seed: int | None = None, round_up: bool = True
    ):
        if max_epochs is not None and max_epochs < 1:
            raise ValueError(f'ProgressiveSampler(max_epochs=...) must be at least 1, got {max_epochs}')
        super().__init__(dataset, seed, round_up)
        self.max_epochs = max_epochs

    def draws_of_classes(self) -> np.ndarray:
        """As `progressive_counts` says."""
        # RuntimeInfoHook notes max_epochs before the first epoch, so `--cfg-options train_cfg.max_epochs=..` counts.
        max_epochs = self.max_epochs or MessageHub.get_current_instance().runtime_info.get('max_epochs')
        if max_epochs is None:
            raise ValueError('ProgressiveSampler outside a run does not know how many epochs there are: set max_epochs')
        return progressive_counts(self.counts, self.epoch, max_epochs)
