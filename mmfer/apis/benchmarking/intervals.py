"""Means over seeds, and differences of methods that saw the same seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import NamedTuple

from scipy.stats import t


class Estimate(NamedTuple):
    """A mean and what is known of it."""

    mean: float
    deviation: float | None
    """Over seeds, with n - 1; None of one."""
    half: float | None
    """Half the width of the interval of 95 % for the mean, by Student's t; None of one."""


def estimate(values: list[float]) -> Estimate:
    """Of some values, one a seed."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, None, None)
    deviation = statistics.stdev(values)
    return Estimate(mean, deviation, float(t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values)))


def paired(values: Mapping[int, float], others: Mapping[int, float]) -> Estimate | None:
    """How much larger values are than others of the same seeds; None where no seed is in both."""
    seeds = sorted(values.keys() & others.keys())
    return estimate([values[seed] - others[seed] for seed in seeds]) if seeds else None
