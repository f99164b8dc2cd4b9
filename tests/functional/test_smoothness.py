"""Divergences of SNA's smoothness and instability against the method page's numbers and plain loops."""

import math

import pytest
import torch
from torch.testing import assert_close

from mmfer.functional import jensen_shannon, kl_from_logits

EXACT = {'rtol': 1e-10, 'atol': 1e-12}
LN2 = math.log(2)


def double(values, **kwargs):
    return torch.tensor(values, dtype=torch.float64, **kwargs)


def pair(rows=6, classes=5, scale=3.0):
    generator = torch.Generator().manual_seed(rows)
    p, q = scale * torch.randn(2, rows, classes, generator=generator, dtype=torch.float64)
    return p, q


def probabilities(logits: list[float]) -> list[float]:
    powers = [math.exp(value) for value in logits]
    return [power / sum(powers) for power in powers]


def naive_kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def naive_js(p: list[float], q: list[float]) -> float:
    mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (naive_kl(p, mean) + naive_kl(q, mean)) / 2


# --- the method page ---


def test_a_binary_logit_of_0_against_1_gives_the_pages_values():
    p, q = double([[0.0, 0.0]]), double([[1.0, 0.0]])
    assert_close(kl_from_logits(p, q), double([0.120114]), rtol=0, atol=1e-6)
    assert_close(jensen_shannon(p, q), double([0.028535]), rtol=0, atol=1e-6)
    assert_close(jensen_shannon(q, p), double([0.028535]), rtol=0, atol=1e-6)


def test_the_order_is_kl_of_p_from_q():
    """KL is not symmetric, and the page's figure is that of p against q."""
    p, q = double([[0.0, 0.0]]), double([[1.0, 0.0]])
    assert_close(kl_from_logits(q, p), double([0.110944]), rtol=0, atol=1e-6)


# --- references ---


@pytest.mark.parametrize('classes', [2, 7])
def test_both_equal_plain_loops(classes):
    p, q = pair(6, classes)
    rows = [(probabilities(a), probabilities(b)) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
    assert_close(kl_from_logits(p, q), double([naive_kl(*row) for row in rows]), rtol=1e-9, atol=1e-12)
    assert_close(jensen_shannon(p, q), double([naive_js(*row) for row in rows]), rtol=1e-9, atol=1e-12)


def test_a_shift_of_the_logits_changes_nothing():
    p, q = pair()
    shift = torch.randn(6, 1, dtype=torch.float64)
    for divergence in (kl_from_logits, jensen_shannon):
        assert_close(divergence(p + shift, q - 2 * shift), divergence(p, q), **EXACT)


def test_equal_predictions_diverge_by_nothing():
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        p = pair()[0].to(dtype)
        for divergence in (kl_from_logits, jensen_shannon):
            assert divergence(p, p.clone()).abs().max() <= tolerance


def test_jensen_shannon_is_symmetric_and_lies_between_0_and_ln_2():
    p, q = pair(50, scale=20.0)
    value = jensen_shannon(p, q)
    assert_close(value, jensen_shannon(q, p), **EXACT)
    assert value.min() >= 0
    assert value.max() <= LN2 + 1e-12


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_opposite_certainties_are_finite(dtype):
    """Probabilities that underflow to 0 meet logarithms of 0."""
    p = torch.tensor([[200.0, -200.0, 0.0], [1000.0, -1000.0, 0.0]], dtype=dtype)
    q = torch.tensor([[-200.0, 200.0, 0.0], [-1000.0, 1000.0, 0.0]], dtype=dtype, requires_grad=True)
    assert_close(jensen_shannon(p, q).detach(), torch.full((2,), LN2, dtype=dtype), rtol=0, atol=1e-6)
    kl = kl_from_logits(p, q)
    assert_close(kl.detach(), torch.tensor([400.0, 2000.0], dtype=dtype), rtol=1e-6, atol=0)
    kl.sum().backward()
    assert q.grad.isfinite().all()


def test_jensen_shannon_of_near_equal_predictions_does_not_dive_below_zero_in_float32():
    p = torch.randn(2000, 7)
    assert jensen_shannon(p, p + 1e-5 * torch.randn(2000, 7)).min() > -1e-6


# --- gradients ---


def test_gradcheck_of_the_kl_in_the_neighbours_logits():
    p, q = pair(3, 4)
    q.requires_grad_()
    assert torch.autograd.gradcheck(lambda b: kl_from_logits(p, b), q)
    assert torch.autograd.gradgradcheck(lambda b: kl_from_logits(p, b), q)


def test_the_gradient_of_the_kl_is_the_difference_of_the_predictions():
    p, q = pair(3, 4)
    q.requires_grad_()
    kl_from_logits(p, q).sum().backward()
    assert_close(q.grad, (q.softmax(1) - p.softmax(1)).detach(), **EXACT)


def test_at_no_perturbation_the_kl_has_no_gradient():
    """Which is why the adversarial step starts a little away from the face."""
    p = pair(3, 4)[0]
    q = p.clone().requires_grad_()
    kl_from_logits(p, q).sum().backward()
    assert q.grad.abs().max() < 1e-12


def test_gradcheck_of_jensen_shannon():
    p, q = pair(3, 4)
    assert torch.autograd.gradcheck(jensen_shannon, (p, q.requires_grad_()))
