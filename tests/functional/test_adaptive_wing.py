"""AdaptiveWing and the heatmap loss against the numbers of the method page and a loop over cells."""

import naive
import pytest
import torch
from torch.testing import assert_close

from mmfer.functional import adaptive_wing, gaussian_heatmaps, heatmap_loss, mean_over_ranks

EXACT = {'rtol': 1e-10, 'atol': 1e-12}


def double(values, **kwargs):
    return torch.tensor(values, dtype=torch.float64, **kwargs)


def random_maps(samples=3, points=2, size=(7, 6), seed=0):
    """Predictions anywhere in (-.3, 1.3) and Gaussian targets, some cut by the border."""
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.rand(samples, points, *size, generator=generator, dtype=torch.float64) * 1.6 - 0.3
    where = torch.rand(samples, points, 2, generator=generator, dtype=torch.float64) * 5
    return prediction, naive.gaussian_heatmaps(where, size)


@pytest.mark.parametrize(
    ('prediction', 'target', 'value'),
    [(0.2, 0.0, 0.468813), (0.5, 0.0, 2.935235), (1.0, 0.0, 8.495946), (0.7, 1.0, 3.301746), (0.0, 1.0, 10.259383)],
)
def test_adaptive_wing_gives_the_five_values_of_the_method_page(prediction, target, value):
    loss = adaptive_wing(double([prediction]), double([target]))
    assert_close(loss, double([value]), rtol=0, atol=5.1e-7)


@pytest.mark.parametrize('constants', [{}, {'alpha': 2.5, 'omega': 8.0, 'epsilon': 0.7, 'theta': 0.3}])
def test_adaptive_wing_equals_the_scalar_formula_elementwise(constants):
    generator = torch.Generator().manual_seed(1)
    prediction = torch.randn(4, 5, 6, generator=generator, dtype=torch.float64)
    target = torch.rand(4, 5, 6, generator=generator, dtype=torch.float64)
    expected = [
        naive.adaptive_wing(p, t, **constants)
        for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True)
    ]
    assert_close(adaptive_wing(prediction, target, **constants), double(expected).reshape(4, 5, 6), **EXACT)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_large_maps_are_worked_on_in_pieces_with_the_same_result(layout):
    generator = torch.Generator().manual_seed(2)
    prediction = torch.randn(7, 3, 120, 130, generator=generator, dtype=torch.float64).to(memory_format=layout)
    target = torch.rand(7, 3, 120, 130, generator=generator, dtype=torch.float64)
    assert prediction.numel() > 2**18
    prediction.requires_grad_()
    loss = adaptive_wing(prediction, target)
    loss.sum().backward()
    for row in range(7):
        one = prediction[row : row + 1].detach().requires_grad_()
        alone = adaptive_wing(one, target[row : row + 1])
        alone.sum().backward()
        assert_close(loss[row : row + 1], alone, **EXACT)
        assert_close(prediction.grad[row : row + 1], one.grad, **EXACT)


def test_adaptive_wing_is_zero_with_zero_gradient_where_prediction_equals_target():
    target = double([0.0, 0.3, 1.0])
    prediction = target.clone().requires_grad_()
    loss = adaptive_wing(prediction, target)
    loss.sum().backward()
    # A floor under the distance, which keeps the power differentiable, may be felt but not seen.
    assert_close(loss.detach(), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-10)
    assert_close(prediction.grad, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-10)


def test_adaptive_wing_sees_only_the_size_of_the_error():
    target, error = double([0.0, 0.2, 0.8, 1.0]), double([0.1, 0.4, 0.6, 1.5])
    assert_close(adaptive_wing(target + error, target), adaptive_wing(target - error, target), **EXACT)


@pytest.mark.parametrize('target', [0.0, 0.25, 0.6, 1.0])
@pytest.mark.parametrize('theta', [0.5, 0.3])
def test_adaptive_wing_and_its_slope_are_continuous_at_theta(target, theta):
    step, gap = 1e-5, 1e-9
    target, sides = double([target]), double([-1.0, 1.0])

    def loss(distance):
        return adaptive_wing(target + distance, target, theta=theta)

    inside, outside = loss(theta + gap * sides).tolist()
    assert abs(outside - inside) < 100 * gap
    below = (loss(double([theta - gap])) - loss(double([theta - gap - step]))) / step
    above = (loss(double([theta + gap + step])) - loss(double([theta + gap]))) / step
    assert_close(below, above, rtol=1e-3, atol=1e-3)
    assert below.item() > 1  # a loss that is flat there would pass the line above

    prediction = (target + theta + gap * sides).requires_grad_()
    adaptive_wing(prediction, target, theta=theta).sum().backward()
    assert_close(prediction.grad[0], prediction.grad[1], rtol=1e-6, atol=1e-6)


def test_adaptive_wing_passes_gradcheck_away_from_its_kinks():
    target = double([0.0, 0.0, 0.0, 0.4, 0.4, 1.0, 1.0, 1.0])
    error = double([0.2, -0.4, 0.9, 0.3, -1.2, -0.1, 0.4, -0.8])
    prediction = (target + error).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: adaptive_wing(p, target), (prediction,))


def test_heatmap_loss_equals_a_loop_over_cells():
    prediction, target = random_maps()
    loss = heatmap_loss(prediction, target)
    assert loss.shape == (3,)
    assert_close(loss, naive.heatmap_loss(prediction, target), **EXACT)


def test_heatmap_loss_uses_the_weight_and_threshold_it_is_given():
    prediction, target = random_maps(seed=2)
    loss = heatmap_loss(prediction, target, foreground_weight=3.0, threshold=0.6)
    assert_close(loss, naive.heatmap_loss(prediction, target, 3.0, 0.6), **EXACT)


def test_heatmap_loss_weighs_the_three_by_three_around_a_bright_cell():
    target = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    target[0, 0, 0, 2] = 1.0  # at the border: 2 x 3 cells are foreground
    prediction = target + 0.2
    at_zero, at_one = naive.adaptive_wing(0.2, 0.0), naive.adaptive_wing(1.2, 1.0)
    expected = (10 * (5 * at_zero + at_one) + 19 * at_zero) / 25
    assert_close(heatmap_loss(prediction, target), double([expected]), **EXACT)


def test_heatmap_loss_takes_a_target_at_the_threshold_as_background():
    target = torch.full((1, 1, 3, 3), 0.2, dtype=torch.float64)
    loss = heatmap_loss(torch.zeros_like(target), target)
    assert_close(loss, double([naive.adaptive_wing(0.0, 0.2)]), **EXACT)


def test_heatmap_loss_weighs_a_zero_map_with_one():
    target = gaussian_heatmaps(torch.full((1, 2, 2), -7.0, dtype=torch.float64), (4, 4))
    prediction = torch.full_like(target, 0.2)
    assert_close(heatmap_loss(prediction, target), double([0.468813]), rtol=0, atol=5.1e-7)


def test_heatmap_loss_follows_the_samples_and_ignores_the_order_of_the_landmarks():
    prediction, target = random_maps(samples=4, points=3, seed=3)
    loss = heatmap_loss(prediction, target)
    samples, points = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])
    assert_close(heatmap_loss(prediction[samples], target[samples]), loss[samples], **EXACT)
    assert_close(heatmap_loss(prediction[:, points], target[:, points]), loss, **EXACT)


def test_heatmap_loss_passes_gradcheck():
    prediction, target = random_maps(samples=2, points=1, size=(4, 4), seed=4)
    error = prediction - target
    # Away from error 0, where the loss is differentiable only once, and from theta.
    error = torch.where(error.abs() < 0.05, torch.full_like(error, 0.1), error)
    error = torch.where((error.abs() - 0.5).abs() < 0.01, torch.full_like(error, 0.6), error)
    prediction = (target + error).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: heatmap_loss(p, target), (prediction,))


def test_the_mean_over_valid_samples_does_not_feel_the_others():
    prediction, target = random_maps(samples=4, seed=5)
    valid = torch.tensor([True, False, True, False])
    prediction.requires_grad_()
    loss = mean_over_ranks(heatmap_loss(prediction, target), valid)
    loss.backward()
    expected = naive.heatmap_loss(prediction.detach()[valid], target[valid]).mean()
    assert_close(loss.detach(), expected, **EXACT)
    assert prediction.grad[~valid].abs().max() == 0
    assert prediction.grad[valid].abs().max() > 0


def test_heatmap_loss_keeps_single_precision():
    prediction, target = random_maps(seed=7)
    loss = heatmap_loss(prediction.float(), target.float())
    assert loss.dtype == torch.float32
    assert_close(loss.double(), naive.heatmap_loss(prediction, target), rtol=1e-4, atol=1e-5)
