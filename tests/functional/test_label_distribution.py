"""Label distribution estimation against the numbers of the method page, Python loops and the dense formula."""

import math

import naive
import pytest
import torch
from torch.testing import assert_close

from mmfer.functional import confident_labels, distribution_kl, nearest_neighbours, neighbour_average

EXACT = {'rtol': 1e-10, 'atol': 1e-12}


def double(values, **kwargs):
    return torch.tensor(values, dtype=torch.float64, **kwargs)


def chosen(neighbours, valid):
    """The neighbours of every row as sets: their order within a row is nobody's business."""
    return [set(row[ok].tolist()) for row, ok in zip(neighbours, valid, strict=True)]


def random_graph(batch, k, classes=4, seed=0):
    """Scores, distinct neighbours other than self, some slots invalid (row 0 wholly), and probabilities."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(batch, k, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    order = torch.rand(batch, batch, generator=generator).fill_diagonal_(-1)
    neighbours = order.argsort(dim=1, descending=True)[:, :k]
    valid = torch.rand(batch, k, generator=generator) < 0.7
    valid[0] = False
    probs = torch.randn(batch, classes, generator=generator, dtype=torch.float64).softmax(dim=1)
    return scores, neighbours, valid, probs


# --- the worked example of the method page ---


def test_four_samples_give_the_neighbours_distribution_and_target_of_the_method_page():
    u = double([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    v = double([[1, 0], [0, 1], [1, 0.1], [0.1, 1]])
    probs = double([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    bank = double([[1, 0], [1, 0], [0, 1], [0, 1]])
    scores, averages = torch.full((4, 1), 0.5, dtype=torch.float64), []
    for space, expected in ((u, [1, 0, 3, 2]), (v, [2, 3, 0, 1])):
        neighbours, valid = nearest_neighbours(space, torch.arange(4), 1)
        assert neighbours.flatten().tolist() == expected
        assert valid.all()
        averages.append(neighbour_average(scores, neighbours, valid, probs))
    q = sum(averages) / 2
    assert_close(q, double([[0.6, 0.4]] * 4), rtol=0, atol=1e-7)
    target = double([[0.96, 0.04]] * 2 + [[0.06, 0.94]] * 2)
    assert_close(0.9 * bank + 0.1 * q, target, rtol=0, atol=1e-7)


def test_scores_of_two_and_six_tenths_weigh_a_quarter_and_three_quarters():
    scores, valid = double([[0.2, 0.6]] * 3), torch.ones(3, 2, dtype=torch.bool)
    neighbours = torch.tensor([[1, 2], [0, 2], [0, 1]])
    q = neighbour_average(scores, neighbours, valid, torch.eye(3, dtype=torch.float64))
    assert_close(q, double([[0, 0.25, 0.75], [0.25, 0, 0.75], [0.25, 0.75, 0]]), rtol=0, atol=1e-7)


def test_kl_of_a_confident_target_from_equal_logits_is_the_method_pages():
    target, logits = double([[0.96, 0.04]]), double([[1.7, 1.7]])
    assert_close(distribution_kl(target, logits).item(), 0.525203, rtol=0, atol=5.1e-7)


# --- nearest_neighbours ---


@pytest.mark.parametrize('k', [1, 3, 8, 40])
@pytest.mark.parametrize(('batch', 'samples'), [(2, 2), (9, 9), (12, 5), (10, 2), (6, 1)])
def test_neighbours_equal_a_python_loop_with_repeated_samples_and_too_few_candidates(batch, samples, k):
    generator = torch.Generator().manual_seed(batch * 100 + k)
    features = torch.randn(batch, 6, generator=generator, dtype=torch.float64)
    sample_idx = torch.randint(samples, (batch,), generator=generator) * 7 if samples < batch else torch.arange(batch)
    neighbours, valid = nearest_neighbours(features, sample_idx, k)
    assert neighbours.dtype == torch.int64
    assert valid.dtype == torch.bool
    assert neighbours.shape == valid.shape == (batch, min(k, batch - 1))
    assert neighbours.min() >= 0  # gathering with an invalid slot must not fail either
    assert neighbours.max() < batch
    expected = naive.nearest_neighbours(features, sample_idx, k)
    assert chosen(neighbours, valid) == [set(row) for row in expected]
    assert valid.sum(dim=1).tolist() == [len(row) for row in expected]


def test_a_batch_of_one_has_one_neighbour_slot_and_it_is_invalid():
    neighbours, valid = nearest_neighbours(double([[1.0, 2.0]]), torch.tensor([5]), 8)
    assert neighbours.shape == valid.shape == (1, 1)
    assert neighbours.item() == 0
    assert not valid.item()
    q = neighbour_average(double([[0.4]]), neighbours, valid, double([[0.3, 0.7]]))
    assert_close(q, double([[0.3, 0.7]]), **EXACT)


def test_views_of_one_sample_are_not_neighbours_however_similar():
    features = double([[1, 0], [1, 0], [0.5, 1], [0, 1]])
    neighbours, valid = nearest_neighbours(features, torch.tensor([3, 3, 8, 9]), 1)
    assert valid.all()
    assert neighbours.flatten().tolist() == [2, 2, 3, 2]


def test_neighbours_depend_on_direction_and_not_on_length():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    lengths = 10 ** (torch.rand(8, 1, generator=generator, dtype=torch.float64) * 6 - 3)
    plain = nearest_neighbours(features, torch.arange(8), 3)
    assert chosen(*nearest_neighbours(features * lengths, torch.arange(8), 3)) == chosen(*plain)


def test_opposite_features_are_neighbours_when_there_is_nobody_else():
    neighbours, valid = nearest_neighbours(double([[1, 0], [-1, 0]]), torch.arange(2), 4)
    assert neighbours.tolist() == [[1], [0]]
    assert valid.all()


def test_neighbours_follow_a_permutation_of_the_batch():
    features = torch.randn(9, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    sample_idx = torch.tensor([0, 1, 2, 3, 3, 4, 5, 5, 6])
    order = torch.tensor([4, 7, 1, 0, 8, 3, 6, 2, 5])
    plain = chosen(*nearest_neighbours(features, sample_idx, 3))
    moved = chosen(*nearest_neighbours(features[order], sample_idx[order], 3))
    assert [{order[j].item() for j in row} for row in moved] == [plain[i] for i in order.tolist()]


def test_neighbours_carry_no_gradient():
    features = torch.randn(5, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64, requires_grad=True)
    neighbours, valid = nearest_neighbours(features, torch.arange(5), 2)
    assert neighbours.grad_fn is None
    assert valid.grad_fn is None
    # The choice must not be felt through the average either.
    q = neighbour_average(torch.full((5, 2), 0.5, dtype=torch.float64), neighbours, valid, features.detach().abs())
    assert not q.requires_grad


def test_neighbours_in_half_precision_do_not_choose_an_excluded_row():
    features = torch.tensor([[300.0, 0], [300, 0], [0, 200], [-300, -200]], dtype=torch.float16)
    neighbours, valid = nearest_neighbours(features, torch.tensor([0, 0, 1, 2]), 3)
    assert chosen(neighbours, valid) == [{2, 3}, {2, 3}, {0, 1, 3}, {0, 1, 2}]


# --- neighbour_average ---


@pytest.mark.parametrize(('batch', 'k'), [(2, 1), (5, 3), (12, 8), (9, 8)])
@pytest.mark.parametrize('eps', [1e-8, 0.3])  # the large one makes a misplaced eps/B visible
def test_average_equals_the_dense_formula(batch, k, eps):
    scores, neighbours, valid, probs = random_graph(batch, k, seed=batch)
    q = neighbour_average(scores, neighbours, valid, probs, eps=eps)
    assert_close(q, naive.neighbour_average(scores, neighbours, valid, probs, eps), **EXACT)


def test_average_has_mass_one_and_falls_back_to_the_batch_mean_without_neighbours():
    scores, neighbours, valid, probs = random_graph(7, 4)
    q = neighbour_average(scores, neighbours, valid, probs)
    assert_close(q.sum(dim=1), torch.ones(7, dtype=torch.float64), **EXACT)
    assert_close(q[0], probs.mean(dim=0), **EXACT)  # row 0 has no valid neighbour
    single = neighbour_average(scores.float(), neighbours, torch.zeros_like(valid), probs.float())
    assert_close(single.double(), probs.mean(dim=0).expand(7, -1), rtol=1e-5, atol=1e-6)


def test_average_ignores_what_stands_in_invalid_slots():
    scores, neighbours, valid, probs = random_graph(8, 5, seed=1)
    other_scores = torch.where(valid, scores, torch.full_like(scores, 0.99))
    repeated = neighbours.clone()
    for i in range(8):  # an invalid slot may repeat a valid neighbour or point at the row itself
        repeated[i, ~valid[i]] = neighbours[i, valid[i]][0] if valid[i].any() else i
    expected = neighbour_average(scores, neighbours, valid, probs)
    assert_close(neighbour_average(other_scores, repeated, valid, probs), expected, **EXACT)


def test_average_follows_a_permutation_of_the_batch_and_ignores_the_order_of_slots():
    scores, neighbours, valid, probs = random_graph(6, 3, seed=2)
    expected = neighbour_average(scores, neighbours, valid, probs)
    order = torch.tensor([3, 5, 0, 4, 1, 2])
    moved = neighbour_average(scores[order], order.argsort()[neighbours[order]], valid[order], probs[order])
    assert_close(moved, expected[order], **EXACT)
    slots = torch.tensor([2, 0, 1])
    assert_close(neighbour_average(scores[:, slots], neighbours[:, slots], valid[:, slots], probs), expected, **EXACT)


def test_average_passes_gradcheck_in_scores_and_probabilities():
    scores, neighbours, valid, probs = random_graph(5, 3, seed=3)
    scores.requires_grad_()
    probs.requires_grad_()
    assert torch.autograd.gradcheck(lambda s, p: neighbour_average(s, neighbours, valid, p, eps=1e-3), (scores, probs))


def test_average_sends_no_gradient_to_invalid_scores_and_a_finite_one_to_all():
    scores, neighbours, valid, probs = random_graph(6, 4, seed=4)
    scores.requires_grad_()
    probs.requires_grad_()
    (neighbour_average(scores, neighbours, valid, probs) * torch.arange(4)).sum().backward()
    assert torch.isfinite(scores.grad).all()
    assert torch.isfinite(probs.grad).all()
    assert scores.grad[~valid].abs().max() == 0
    assert scores.grad[valid.sum(dim=1) > 1].abs().max() > 0


# --- distribution_kl ---


def test_kl_equals_a_python_loop():
    generator = torch.Generator().manual_seed(5)
    target = torch.randn(6, 7, generator=generator, dtype=torch.float64).softmax(dim=1)
    logits = torch.randn(6, 7, generator=generator, dtype=torch.float64) * 3
    assert_close(distribution_kl(target, logits).item(), naive.distribution_kl(target, logits), **EXACT)


def test_kl_is_zero_with_zero_logit_gradient_exactly_where_the_two_agree():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64, requires_grad=True)
    loss = distribution_kl(logits.detach().softmax(dim=1), logits)
    loss.backward()
    assert_close(loss.item(), 0.0, rtol=0, atol=1e-12)
    assert_close(logits.grad, torch.zeros(5, 4, dtype=torch.float64), rtol=0, atol=1e-12)


def test_kl_takes_zero_log_zero_as_zero():
    target, logits = double([[1.0, 0.0], [0.0, 1.0]]), double([[0.0, 0.0], [2.0, 1.0]])
    expected = (math.log(2) + math.log(1 + math.e)) / 2
    assert_close(distribution_kl(target, logits).item(), expected, **EXACT)


def test_kl_gradients_stay_finite_at_a_target_of_zero():
    target, logits = double([[1.0, 0.0, 0.0]], requires_grad=True), double([[0.3, -1.0, 2.0]], requires_grad=True)
    distribution_kl(target, logits).backward()
    assert torch.isfinite(logits.grad).all()
    assert_close(logits.grad, logits.detach().softmax(dim=1) - target.detach(), **EXACT)
    assert torch.isfinite(target.grad).all()  # -inf or NaN here would reach the score nets


def test_kl_stays_finite_for_extreme_logits():
    target, logits = double([[0.5, 0.5]]).float(), torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = distribution_kl(target, logits)
    loss.backward()
    assert_close(loss.item(), 1e4 - math.log(2), rtol=1e-5, atol=0)
    assert torch.isfinite(logits.grad).all()


def test_kl_ignores_the_order_of_samples_and_a_shift_of_the_logits():
    generator = torch.Generator().manual_seed(7)
    target = torch.randn(6, 3, generator=generator, dtype=torch.float64).softmax(dim=1)
    logits = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    order, classes = torch.tensor([4, 0, 5, 2, 1, 3]), torch.tensor([2, 0, 1])
    expected = distribution_kl(target, logits)
    assert_close(distribution_kl(target[order][:, classes], logits[order][:, classes]), expected, **EXACT)
    assert_close(distribution_kl(target, logits + 50), expected, **EXACT)


def test_kl_passes_gradcheck_in_target_and_logits():
    generator = torch.Generator().manual_seed(8)
    target = torch.randn(3, 4, generator=generator, dtype=torch.float64).softmax(dim=1).requires_grad_()
    logits = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(distribution_kl, (target, logits))


# --- confident_labels ---


def test_confident_samples_take_their_class_and_the_others_an_identity_above_all_classes():
    distribution = double([[0.8, 0.1, 0.1], [0.4, 0.3, 0.3], [0.1, 0.15, 0.75], [0.2, 0.6, 0.2]])
    labels = confident_labels(distribution, torch.tensor([10, 11, 12, 4]))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 3 + 11, 2, 3 + 4]


def test_an_unsure_sample_zero_is_not_class_zero():
    distribution = double([[0.4, 0.6], [0.9, 0.1], [0.5, 0.5]])
    assert confident_labels(distribution, torch.tensor([0, 1, 2])).tolist() == [2, 0, 4]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('threshold', [0.75, 0.7])
def test_a_distribution_at_the_threshold_is_confident(threshold, dtype):
    below = torch.nextafter(torch.tensor(threshold, dtype=dtype), torch.tensor(0, dtype=dtype)).item()
    distribution = torch.tensor([[1 - threshold, threshold], [1 - below, below]], dtype=dtype)
    assert confident_labels(distribution, torch.tensor([5, 6]), threshold).tolist() == [1, 2 + 6]


def test_the_default_threshold_is_seven_tenths():
    labels = confident_labels(double([[0.71, 0.29], [0.69, 0.31]]), torch.tensor([5, 6]))
    assert labels.tolist() == [0, 2 + 6]


def test_two_views_of_an_unsure_sample_share_its_identity_and_no_other_does():
    distribution = torch.full((4, 3), 1 / 3, dtype=torch.float64)
    labels = confident_labels(distribution, torch.tensor([7, 0, 7, 2]))
    assert labels.tolist() == [10, 3, 10, 5]


def test_labels_carry_no_gradient():
    distribution = double([[0.8, 0.2], [0.5, 0.5]], requires_grad=True)
    assert not confident_labels(distribution, torch.tensor([0, 1])).requires_grad
