"""Importance groups and rank regularization (SCN) against the method page's numbers and plain sorting."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
import torch
from torch.testing import assert_close

from mmfer.functional import high_group, rank_regularization

PAGE = [0.93, 0.46, 0.68, 0.87, 0.56, 0.64]


def double(values, **kwargs):
    return torch.tensor(values, dtype=torch.float64, **kwargs)


def group_size(ratio: float, count: int) -> int:
    """round(ratio * N), halves up, in decimal arithmetic; both groups hold someone where they can."""
    size = int((Decimal(str(ratio)) * count).quantize(Decimal(1), ROUND_HALF_UP))
    return 1 if count == 1 else min(max(size, 1), count - 1)


def high_rows(importance: list[float], ratio: float) -> list[int]:
    """The most important rows, ascending; of equal ones the earlier."""
    order = sorted(range(len(importance)), key=lambda i: (-importance[i], i))
    return sorted(order[: group_size(ratio, len(importance))])


def penalty(importance: list[float], margin: float, ratio: float) -> float:
    """The equation with Python numbers."""
    high = high_rows(importance, ratio)
    low = [i for i in range(len(importance)) if i not in high]
    gap = sum(importance[i] for i in high) / len(high) - sum(importance[i] for i in low) / len(low)
    return max(0.0, margin - gap)


def rows_of(mask) -> list[int]:
    assert mask.dtype == torch.bool
    return mask.nonzero().flatten().tolist()


# --- the method page ---


def test_the_page_has_four_important_faces_with_a_mean_of_78_against_51():
    importance = double(PAGE)
    mask = high_group(importance, ratio=0.7)
    assert rows_of(mask) == [0, 2, 3, 5]
    assert_close(importance[mask].mean(), double(0.78), rtol=0, atol=1e-12)
    assert_close(importance[~mask].mean(), double(0.51), rtol=0, atol=1e-12)


def test_the_pages_gap_costs_nothing_at_15_and_03_at_30():
    importance = double(PAGE)
    assert rank_regularization(importance, margin=0.15, ratio=0.7).item() == 0
    assert_close(rank_regularization(importance, margin=0.30, ratio=0.7), double(0.03), rtol=0, atol=1e-12)


def test_the_defaults_are_the_papers():
    importance = torch.rand(10, dtype=torch.float64) * 0.1
    assert rows_of(high_group(importance)) == rows_of(high_group(importance, ratio=0.7))
    expected = rank_regularization(importance, margin=0.15, ratio=0.7)
    assert expected > 0
    assert_close(rank_regularization(importance), expected, rtol=0, atol=0)


def test_the_gradient_is_a_quarter_down_for_the_high_and_half_up_for_the_low():
    importance = double(PAGE, requires_grad=True)
    rank_regularization(importance, margin=0.30, ratio=0.7).backward()
    assert_close(importance.grad, double([-0.25, 0.5, -0.25, -0.25, 0.5, -0.25]), rtol=0, atol=1e-12)


def test_a_wide_gap_gives_no_gradient():
    importance = double(PAGE, requires_grad=True)
    loss = rank_regularization(importance, margin=0.15, ratio=0.7)
    loss.backward()
    assert importance.grad.tolist() == [0] * 6


# --- references ---


@pytest.mark.parametrize('ratio', [0.7, 0.5, 0.3, 0.1, 0.9, 0.29, 0.57, 0.58, 0.35, 0.15, 0.05, 0.95, 0.125, 1 / 3])
def test_group_sizes_are_those_of_decimal_arithmetic(ratio):
    """In floating point .7 * 45 is 31.499999999999996, and .29 * 50 is 14.499999999999998."""
    numbers = range(1, 301)
    sizes = [int(high_group(torch.linspace(0, 1, number), ratio).sum()) for number in numbers]
    assert sizes == [group_size(ratio, number) for number in numbers]


def test_the_size_that_floating_point_gets_wrong():
    assert 0.7 * 45 + 0.5 < 32
    assert high_group(torch.rand(45), 0.7).sum() == 32
    assert high_group(torch.rand(1024), 0.7).sum() == 717
    assert high_group(torch.rand(64), 0.7).sum() == 45


@pytest.mark.parametrize('count', [2, 3, 7, 20])
@pytest.mark.parametrize('ratio', [0.1, 0.5, 0.7, 0.99])
@pytest.mark.parametrize('margin', [0.15, 0.6, 2.0])
def test_group_and_penalty_equal_sorting(count, ratio, margin):
    importance = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    values = importance.tolist()
    assert rows_of(high_group(importance, ratio)) == high_rows(values, ratio)
    expected = penalty(values, margin, ratio)
    assert_close(rank_regularization(importance, margin, ratio), double(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize('ratio', [0.01, 0.99])
@pytest.mark.parametrize('count', [2, 3, 10])
def test_no_group_is_empty(ratio, count):
    importance = torch.rand(count, dtype=torch.float64)
    mask = high_group(importance, ratio)
    assert mask.any()
    assert not mask.all()
    assert rank_regularization(importance, margin=2.0, ratio=ratio).isfinite()


@pytest.mark.parametrize('count', [4, 10, 500])  # long rows take another sort
def test_of_equal_importances_the_earlier_are_high(count):
    size = group_size(0.7, count)
    assert rows_of(high_group(torch.full((count,), 0.5), 0.7)) == list(range(size))
    importance = torch.full((count,), 0.5)
    importance[-1] = 0.6
    assert rows_of(high_group(importance, 0.7)) == [*range(size - 1), count - 1]


def test_equal_importances_cost_the_margin_and_are_driven_apart():
    importance = torch.full((10,), 0.5, dtype=torch.float64, requires_grad=True)
    loss = rank_regularization(importance, margin=0.15, ratio=0.7)
    assert_close(loss.detach(), double(0.15), rtol=0, atol=1e-12)
    loss.backward()
    assert_close(importance.grad, double([-1 / 7] * 7 + [1 / 3] * 3), rtol=0, atol=1e-12)


def test_who_stands_where_does_not_matter():
    importance = torch.rand(9, dtype=torch.float64)
    order = torch.randperm(9)
    assert high_group(importance[order], 0.7).tolist() == high_group(importance, 0.7)[order].tolist()
    shuffled = rank_regularization(importance[order], 0.8, 0.7)
    assert_close(shuffled, rank_regularization(importance, 0.8, 0.7), rtol=0, atol=1e-12)


# --- one face, none, and precision ---


@pytest.mark.parametrize('count', [0, 1])
def test_fewer_than_two_faces_cost_nothing(count):
    importance = torch.full((count,), 0.5, requires_grad=True)
    loss = rank_regularization(importance, margin=0.15)
    assert loss.shape == ()
    assert loss.item() == 0
    assert high_group(importance.detach()).tolist() == [True] * count


def test_float32_is_kept():
    assert rank_regularization(torch.rand(5), margin=2.0).dtype == torch.float32


# --- gradients ---


def test_gradcheck_where_the_margin_is_not_met():
    importance = double(PAGE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: rank_regularization(a, 0.30, 0.7), importance)


def test_a_learnable_margin_gets_a_gradient_of_one_while_it_is_not_met():
    importance = double(PAGE, requires_grad=True)
    for value, slope in ((0.30, 1.0), (0.15, 0.0)):
        margin = double(value, requires_grad=True)
        rank_regularization(importance, margin, 0.7).backward()
        assert margin.grad.item() == slope
    margin = double(0.30, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, m: rank_regularization(a, m, 0.7), (importance, margin))


def test_the_grouping_carries_no_gradient():
    assert not high_group(torch.rand(5, requires_grad=True)).requires_grad
