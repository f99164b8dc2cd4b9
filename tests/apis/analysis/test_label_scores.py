"""mmfer.apis.analysis.label_scores against loops that were written from the definitions."""

import numpy as np
import pytest

from mmfer.apis.analysis.label_scores import (
    average_precision,
    class_adjusted,
    combined,
    confident_labels,
    ranks,
    self_confidence,
    suggested_labels,
    thresholds,
)

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 60)  # of five classes: nobody has the last
PROBS = RANDOM.dirichlet([0.6] * 5, 60).astype(np.float32)


def mean_of(j: int) -> float:
    """t_j of Northcutt et al. 2021, eq. 2: the mean of p(j; x) over the x whose label is j."""
    values = [float(PROBS[i, j]) for i in range(60) if LABELS[i] == j]
    return sum(values) / len(values) if values else 1.0


T = [mean_of(j) for j in range(5)]


def test_thresholds_are_the_mean_confidence_of_each_class():
    np.testing.assert_allclose(thresholds(PROBS, LABELS), T, rtol=1e-12)
    assert thresholds(PROBS, LABELS)[4] == 1


def test_a_confident_label_is_the_most_probable_of_the_classes_that_reach_their_threshold():
    """Eq. 1: x is counted in C[i][j] where p(j; x) >= t_j and j has the largest p(j; x) of all such classes."""
    expected = []
    for i in range(60):
        reached = [j for j in range(5) if float(PROBS[i, j]) >= T[j]]
        expected.append(max(reached, key=lambda j: PROBS[i, j]) if reached else -1)
    assert confident_labels(PROBS, LABELS).tolist() == expected
    assert -1 in expected
    assert any(label not in (-1, own) for label, own in zip(expected, LABELS, strict=True))


def test_the_adjusted_margin_measures_every_class_from_its_own_threshold():
    margin, suggested = class_adjusted(PROBS, LABELS), suggested_labels(PROBS, LABELS)
    for i in range(60):
        above = {j: float(PROBS[i, j]) - T[j] for j in range(5)}
        own = above.pop(int(LABELS[i]))
        assert margin[i] == pytest.approx(own - max(above.values()), abs=1e-9)
        assert suggested[i] == max(above, key=lambda j: PROBS[i, j])


def test_a_class_that_networks_are_unsure_of_is_not_doubted_for_that():
    """Both faces have .4 for their own label and .6 for the other: usual for the one class, unusual for the other."""
    probs = np.array([[0.4, 0.6], [0.4, 0.6], [0.6, 0.4], [0.05, 0.95], [0.05, 0.95], [0.05, 0.95]])
    labels = np.array([0, 0, 1, 1, 1, 1])
    assert self_confidence(probs, labels)[[0, 2]].tolist() == [0.4, 0.4]
    margin = class_adjusted(probs, labels)
    assert margin[0] > margin[2]


def test_equal_rows_share_their_rank_and_the_first_key_counts_first():
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == pytest.approx([2.5 / 3, 0, 2.5 / 3, 1 / 3])
    assert ranks(np.array([True, False, True]), np.array([0.1, 0.9, 0.2])).tolist() == [0.5, 0, 1]
    assert ranks(np.array([5.0])).tolist() == [0]


def test_combined_is_the_mean_of_the_ranks_that_are_known():
    first, second = np.array([0.1, 5.0, 2.0]), np.array([1.0, np.nan, 0.0])
    assert combined([first, second]).tolist() == [(0 + 1) / 2, 1, (0.5 + 0) / 2]


def test_average_precision_takes_equals_together():
    wrong = RANDOM.random(200) < 0.3
    doubt = np.round(RANDOM.random(200) + 0.3 * wrong, 1)
    total, before = 0.0, 0
    for level in sorted(set(doubt), reverse=True):
        above = doubt >= level
        found = int(wrong[above].sum())
        total += (found - before) * found / above.sum()
        before = found
    assert average_precision(doubt, wrong) == pytest.approx(total / wrong.sum())
    assert average_precision(np.array([3.0, 2, 1]), np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.zeros(4), np.array([True, False, False, False])) == 0.25
