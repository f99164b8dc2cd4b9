"""Calibration error and likelihood against loops that spell out their definitions."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmfer.evaluation.calibration import calibration_error, negative_log_likelihood


def by_the_definition(scores, label, bins):
    total = 0.0
    for number in range(bins):
        within = [
            (max(face), int(np.argmax(face)) == own)
            for face, own in zip(scores, label, strict=True)
            if number / bins < max(face) <= (number + 1) / bins
        ]
        if within:
            accuracy = sum(right for _, right in within) / len(within)
            confidence = sum(probability for probability, _ in within) / len(within)
            total += len(within) / len(label) * abs(accuracy - confidence)
    return 100 * total


@pytest.mark.parametrize('bins', [1, 10, 15])
@pytest.mark.parametrize('seed', range(5))
def test_it_is_the_definition(seed, bins):
    draw = np.random.default_rng(seed)
    scores, label = draw.dirichlet(np.full(7, 0.3), size=300), draw.integers(7, size=300)
    assert calibration_error(scores, label, bins) == pytest.approx(by_the_definition(scores, label, bins))


def test_a_network_that_knows_how_often_it_errs_has_none():
    scores = np.tile([[0.75, 0.25]], (8, 1))
    label = np.array([0, 0, 0, 1] * 2)
    assert calibration_error(scores, label) == pytest.approx(0)
    assert calibration_error(np.eye(2)[[0] * 8], label) == pytest.approx(25)
    assert calibration_error(np.eye(2)[label], label) == 0


def test_likelihood_is_that_of_torch():
    torch.manual_seed(0)
    logits, label = torch.randn(50, 7), torch.randint(7, (50,))
    shares = torch.rand(50, 7)
    shares /= shares.sum(1, keepdim=True)
    scores = logits.softmax(1).numpy()
    assert negative_log_likelihood(scores, label.numpy()) == pytest.approx(
        float(F.cross_entropy(logits, label)), rel=1e-5
    )
    expected = float(F.cross_entropy(logits, shares))
    assert negative_log_likelihood(scores, shares.numpy()) == pytest.approx(expected, rel=1e-5)


def test_a_probability_of_zero_is_dear_and_no_infinity():
    assert negative_log_likelihood(np.eye(2), np.array([0, 1])) == 0
    assert 40 < negative_log_likelihood(np.eye(2), np.array([1, 1])) < math.inf
