"""Whether a network's probabilities can be believed."""

from __future__ import annotations

import numpy as np

_BINS = 15


def calibration_error(scores: np.ndarray, label: np.ndarray, bins: int = _BINS) -> float:
    """How far confidence is from accuracy: the expected calibration error, in percent.

    Faces are put into bins of equal width by the probability of the predicted class; of each bin it is the difference
    of mean probability and share of right predictions, and of all bins the mean, weighted by faces. See
    `Guo et al. 2017 <https://arxiv.org/abs/1706.04599>`_, eq. 3.

    Args:
        scores: Probabilities [N, K].
        label: Class ids [N].
        bins: How many; 15 in the paper.
    """
    confidence, right = scores.max(1).astype(np.float64), scores.argmax(1) == label
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # bins are open below, closed above
    gap = np.bincount(place, weights=confidence - right, minlength=bins)
    return 100 * float(np.abs(gap).sum() / len(label))


def negative_log_likelihood(scores: np.ndarray, target: np.ndarray) -> float:
    """Mean of -log of the probability of what people see, in nats.

    Args:
        scores: Probabilities [N, K]; those of 0 count as the smallest number of float32.
        target: Class ids [N], or shares of the people who see each class [N, K].
    """
    logs = np.log(np.maximum(scores.astype(np.float64), np.finfo(np.float32).tiny))
    told = np.take_along_axis(logs, target[:, None], 1) if target.ndim == 1 else logs * target
    return float(-told.sum() / len(logs))
