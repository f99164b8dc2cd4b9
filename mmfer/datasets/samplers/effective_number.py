"""Between the data's class frequencies and equal ones, by the effective number of faces."""

from __future__ import annotations

import numpy as np

from mmfer.datasets.samplers.by_class import ClassSampler, LabelledDataset
from mmfer.registry import DATA_SAMPLERS


def effective_number_counts(counts: np.ndarray, beta: float) -> np.ndarray:
    """How many faces of each class an epoch draws.

    n faces of a class count as ``E(n) = (1 - beta^n) / (1 - beta)``, and every face is drawn with a weight of 1 / E:
    the share of class c is proportional to ``n_c / E(n_c)``. What does not divide goes to the largest remainders, the
    lower class id first.

    Args:
        counts: Faces of each class, int [K].
        beta: In [0, 1): 0 keeps the data's frequencies, towards 1 the classes become equal.

    Returns:
        int64 [K], with the sum of ``counts``.
    """
    counts = np.asarray(counts, dtype=np.int64)
    # -expm1(n log beta) is 1 - beta^n without the cancellation near 1; the common factor 1 - beta drops out.
    effective = -np.expm1(counts * np.log(beta)) if beta > 0 else (counts > 0).astype(float)
    weight = np.divide(counts, effective, out=np.zeros(len(counts)), where=counts > 0)
    quota = counts.sum() * weight / weight.sum()
    draws = np.floor(quota).astype(np.int64)
    extra = np.argsort(draws - quota, kind='stable')[: counts.sum() - draws.sum()]
    draws[extra] += 1
    return draws


@DATA_SAMPLERS.register_module()
class EffectiveNumberSampler(ClassSampler):
    """Draws rare classes more often, by how much another face of a class still adds.

    Many faces of one class resemble each other, so that the thousandth adds less than the tenth; the effective number
    of `Cui et al. 2019 <https://arxiv.org/abs/1901.05555>`_ says how much less. An epoch has as many draws as the
    dataset has faces. Within a class every face is drawn before any is drawn again.

    What is drawn is a function of the seed and the epoch alone: nothing has to be saved to resume.

    Args:
        dataset: With ``get_gt_labels()``, the observed labels.
        beta: In [0, 1): 0 keeps the data's frequencies, towards 1 the classes become equal. The paper's are .9, .99,
            .999 and .9999. Defaults to .999.
        seed: The same on every rank. Defaults to None: drawn once and shared.
        round_up: Repeat a few so that every rank gets equally many. Defaults to True.
    """

    def __init__(self, dataset: LabelledDataset, beta: float = 0.999, seed: int | None = None, round_up: bool = True):
        if not 0 <= beta < 1:
            raise ValueError(f'EffectiveNumberSampler(beta=...) must be at least 0 and below 1, got {beta}')
        super().__init__(dataset, seed, round_up)
        self.beta = beta

    def draws_of_classes(self) -> np.ndarray:
        """As `effective_number_counts` says."""
        return effective_number_counts(self.counts, self.beta)
