"""Attribution, landmark prior and privileged attribution loss (PAL) against the method page and plain loops."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmfer.functional import attribution, class_score, landmark_prior, privileged_attribution

EXACT = {'rtol': 1e-10, 'atol': 1e-12}
DIGITS = {'rtol': 0, 'atol': 1e-6}
A = [[1.0, 2.0], [3.0, 4.0]]
CORNER = [[0.0, 0.0], [0.0, 1.0]]


def double(values, **kwargs):
    return torch.tensor(values, dtype=torch.float64, **kwargs)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss_of(maps, prior=CORNER, strategy='mean') -> float:
    """The loss of one face with the given channels."""
    value = privileged_attribution(double(maps)[None], double(prior)[None], strategy)
    assert value.shape == (1,)
    return value.item()


def naive_term(a: list[list[float]], prior: list[list[float]]) -> float:
    """-sum_ij (a_ij - mean) / std * a*_ij of one map, population std, with Python numbers."""
    values = [v for row in a for v in row]
    mean = sum(values) / len(values)
    std = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    cells = zip(values, [v for row in prior for v in row], strict=True)
    return -sum((v - mean) / (std + 1e-8) * p for v, p in cells)


def naive_prior(points, size, sigma):
    """One Gaussian a landmark, summed and divided by the largest value, cell by cell."""
    height, width = size
    prior = torch.zeros(len(points), height, width, dtype=torch.float64)
    for n, face in enumerate(points.tolist()):
        for x, y in face:
            if math.isnan(x) or math.isnan(y):
                continue
            for row in range(height):
                for column in range(width):
                    prior[n, row, column] += math.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2))
        if prior[n].max() > 0:
            prior[n] /= prior[n].max()
    return prior


class Tail(nn.Module):
    """What lies behind a tap: smooth, so that finite differences hold, and of second order in its weights."""

    def __init__(self, channels=3, classes=4):
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(channels, 5, 3, padding=1).double()
        self.fc = nn.Linear(5, classes).double()

    def forward(self, feature):
        return self.fc(torch.tanh(self.conv(feature)).mean((2, 3)))


# --- scores ---


def test_class_scores():
    logits = double([[1.0, -2.0, 0.5], [-3.0, 4.0, -1.0]])
    label = torch.tensor([2, 0])
    expected = {'sum': [-0.5, 0.0], 'gt': [0.5, -3.0], 'pred': [1.0, 4.0], 'sum_abs': [3.5, 8.0]}
    for score, values in expected.items():
        assert_close(class_score(logits, score, label), double(values), **EXACT)
    assert_close(class_score(logits), double(expected['sum']), **EXACT)


@pytest.mark.parametrize(
    ('score', 'gradient'),
    [
        ('sum', [[1, 1, 1], [1, 1, 1]]),
        ('gt', [[0, 0, 1], [1, 0, 0]]),
        ('pred', [[1, 0, 0], [0, 1, 0]]),
        ('sum_abs', [[1, -1, 1], [-1, 1, -1]]),
    ],
)
def test_gradients_of_class_scores(score, gradient):
    logits = double([[1.0, -2.0, 0.5], [-3.0, 4.0, -1.0]], requires_grad=True)
    class_score(logits, score, torch.tensor([2, 0])).sum().backward()
    assert logits.grad.tolist() == gradient


# --- attribution ---


def gradient_by_differences(tail, feature, score='sum', eps=1e-6):
    """dS/df, one element of one face at a time."""
    gradient = torch.zeros_like(feature)
    with torch.no_grad():
        for place in range(feature.numel()):
            step = torch.zeros_like(feature)
            step.view(-1)[place] = eps
            plus, minus = (class_score(tail(feature + sign * step), score).sum() for sign in (1, -1))
            gradient.view(-1)[place] = (plus - minus) / (2 * eps)
    return gradient


@pytest.mark.parametrize('score', ['sum', 'pred', 'sum_abs'])
def test_attribution_equals_finite_differences(score):
    tail, feature = Tail(), randn(2, 3, 3, 4).requires_grad_()
    gradient = gradient_by_differences(tail, feature.detach(), score)
    expected = {
        ('gradient', True): gradient,
        ('gradient', False): gradient.abs(),
        ('gradient_x_input', True): gradient * feature.detach(),
        ('gradient_x_input', False): gradient.abs() * feature.detach(),  # the input keeps its sign
    }
    for (kind, signed), values in expected.items():
        got = attribution(class_score(tail(feature), score), feature, kind, signed)
        assert_close(got.detach(), values, rtol=1e-6, atol=1e-8)


def test_the_defaults_are_unsigned_gradient_times_input():
    tail, feature = Tail(), randn(2, 3, 3, 4).requires_grad_()
    given = attribution(tail(feature).sum(1), feature, kind='gradient_x_input', signed=False)
    assert_close(attribution(tail(feature).sum(1), feature), given, rtol=0, atol=0)


def test_behind_pooling_and_a_linear_layer_it_sums_to_the_score_without_the_biases():
    fc, feature = nn.Linear(6, 5).double(), randn(4, 6, 3, 4).requires_grad_()
    score = fc(feature.mean((2, 3))).sum(1)
    a = attribution(score, feature, 'gradient_x_input', signed=True)
    assert_close(a.sum((1, 2, 3)), score - fc.bias.sum(), **EXACT)
    gradient = attribution(score, feature, 'gradient', signed=True)
    constant = fc.weight.sum(0)[None, :, None, None] / 12
    assert_close(gradient, constant.expand_as(feature), **EXACT)


def test_the_sum_of_probabilities_would_attribute_nothing():
    """Why the scores are those before the softmax."""
    tail, feature = Tail(), randn(2, 3, 3, 4).requires_grad_()
    before = attribution(class_score(tail(feature)), feature, 'gradient')
    after = attribution(class_score(tail(feature).softmax(1)), feature, 'gradient')
    assert before.abs().max() > 1e-3
    assert after.abs().max() < 1e-12


def test_a_faces_attribution_does_not_depend_on_its_batch():
    tail, feature = Tail(), randn(3, 3, 3, 4).requires_grad_()
    whole = attribution(class_score(tail(feature)), feature)
    for row in range(3):
        one = feature[row : row + 1].detach().requires_grad_()
        assert_close(attribution(class_score(tail(one)), one)[0], whole[row], **EXACT)


def test_no_gradient_is_left_on_anything():
    """`.backward()` inside a loss would add to the weights' gradients."""
    tail, feature = Tail(), randn(2, 3, 3, 4).requires_grad_()
    score = class_score(tail(feature))
    attribution(score, feature)
    assert feature.grad is None
    assert all(parameter.grad is None for parameter in tail.parameters())
    score.sum().backward()  # and the graph is still whole
    assert feature.grad is not None


@pytest.mark.parametrize('kind', ['gradient_x_input', 'gradient'])
@pytest.mark.parametrize('signed', [False, True])
def test_attribution_reaches_the_weights_behind_and_the_feature_before_it(kind, signed):
    tail = Tail()
    names = [name for name, _ in tail.named_parameters() if name != 'fc.bias']  # a constant of the score
    parameters = [dict(tail.named_parameters())[name] for name in names]

    def weighted(feature, *weights):
        logits = torch.func.functional_call(tail, dict(zip(names, weights, strict=True)), (feature,))
        return attribution(class_score(logits), feature, kind, signed)

    feature = randn(2, 3, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(weighted, (feature, *parameters))


# --- prior ---


def test_a_gaussian_of_sigma_1_has_the_pages_values():
    prior = landmark_prior(double([[[2.0, 1.0]]]), (5, 5), sigma=1.0)[0]
    assert prior[1, 2] == 1
    for row, column in ((0, 2), (2, 2), (1, 1), (1, 3)):
        assert_close(prior[row, column], double(0.6065), rtol=0, atol=5e-5)
    for row, column in ((0, 1), (0, 3), (2, 1), (2, 3)):
        assert_close(prior[row, column], double(0.3679), rtol=0, atol=5e-5)


@pytest.mark.parametrize('size', [(5, 7), (7, 4), (1, 1)])
@pytest.mark.parametrize('sigma', [0.3, 1.0, 2.5])
def test_the_prior_equals_plain_loops(size, sigma):
    height, width = size
    points = torch.rand(3, 6, 2, dtype=torch.float64) * double([width - 1, height - 1])
    points[1, 2], points[1, 4, 0], points[2, 0, 1] = math.nan, math.nan, math.nan
    assert_close(landmark_prior(points, size, sigma), naive_prior(points, size, sigma), **EXACT)


def test_the_largest_value_is_one_and_two_points_at_one_place_are_as_one():
    one = double([[[1.0, 2.0], [3.0, 3.0]]])
    assert_close(landmark_prior(one, (5, 6), 1.2), landmark_prior(one.repeat(1, 2, 1), (5, 6), 1.2), **EXACT)
    prior = landmark_prior(torch.rand(4, 68, 2, dtype=torch.float64) * 6, (7, 7), 0.5)
    assert_close(prior.amax((1, 2)), torch.ones(4, dtype=torch.float64), **EXACT)
    assert prior.min() >= 0


def test_absent_points_add_nothing():
    points = double([[[1.0, 2.0], [3.0, 1.0]]])
    absent = double([[[math.nan, math.nan], [math.nan, 2.0], [2.0, math.nan]]])
    expected = landmark_prior(points, (4, 5), 0.8)
    assert_close(landmark_prior(torch.cat([points, absent], 1), (4, 5), 0.8), expected, **EXACT)


@pytest.mark.parametrize(('x', 'y'), [(-0.6, 1), (4.6, 1), (2, -0.6), (2, 3.6)])
def test_points_off_the_map_are_absent_as_in_heatmaps(x, y):
    """Pixel centres lie at whole numbers: a map of 5 x 4 reaches from -.5 to 4.5 and 3.5."""
    points = double([[[1.0, 2.0], [3.0, 1.0]]])
    expected = landmark_prior(points, (4, 5), 0.8)
    inside = torch.minimum(double([x, y]).clamp_min(-0.4), double([4.4, 3.4]))
    assert_close(landmark_prior(torch.cat([points, double([[[x, y]]])], 1), (4, 5), 0.8), expected, **EXACT)
    more = landmark_prior(torch.cat([points, inside.view(1, 1, 2)], 1), (4, 5), 0.8)
    assert_close(more, naive_prior(torch.cat([points, inside.view(1, 1, 2)], 1), (4, 5), 0.8), **EXACT)
    assert (more - expected).abs().max() > 0.1


@pytest.mark.parametrize(
    'points',
    [torch.full((2, 3, 2), math.nan), torch.full((2, 3, 2), 1e6), torch.full((2, 3, 2), -1e6), torch.zeros(2, 0, 2)],
)
def test_a_face_without_points_on_the_map_has_a_prior_of_zeros(points):
    prior = landmark_prior(points, (4, 5), 0.8)
    assert prior.shape == (2, 4, 5)
    assert prior.tolist() == torch.zeros(2, 4, 5).tolist()


def test_faces_do_not_mix():
    points = torch.rand(3, 6, 2, dtype=torch.float64) * 4
    alone = landmark_prior(points[:1], (5, 5), 0.7)
    points[1:] = math.nan
    assert_close(landmark_prior(points, (5, 5), 0.7)[:1], alone, **EXACT)


# --- loss: the method page ---


def test_one_map_gives_the_pages_value():
    for strategy in ('mean', 'all'):
        assert_close(loss_of([A], strategy=strategy), -1.341641, **DIGITS)


def test_no_map_does_better_than_the_prior_itself():
    assert_close(loss_of([CORNER]), -1.732051, **DIGITS)
    for seed in range(50):
        assert loss_of(randn(1, 2, 2, seed=seed).tolist()) >= -1.7320509


def test_two_channels_give_the_pages_values():
    maps = [A, [[2.0, 6.0], [4.0, 8.0]]]
    expected = {'all': -2.683282, 'mean': -1.405564, 'half': -1.341641}
    for strategy, value in expected.items():
        assert_close(loss_of(maps, strategy=strategy), value, **DIGITS)


def test_chosen_channels_are_averaged_as_the_first_half_is():
    maps = randn(4, 3, 3)
    prior = torch.rand(3, 3, dtype=torch.float64)
    for strategy, channels in (('half', [0, 1]), ([3], [3]), ([1, 3], [1, 3]), ([0, 1, 2, 3], [0, 1, 2, 3])):
        expected = naive_term(maps[channels].mean(0).tolist(), prior.tolist())
        assert_close(loss_of(maps.tolist(), prior.tolist(), strategy), expected, rtol=1e-9, atol=1e-9)


def test_a_plain_list_and_the_channels_of_half_are_free():
    maps = randn(2, 4, 3, 3).requires_grad_()
    prior = torch.rand(2, 3, 3, dtype=torch.float64)
    privileged_attribution(maps, prior, 'half').sum().backward()
    assert maps.grad[:, :2].abs().amin() > 0
    assert maps.grad[:, 2:].tolist() == torch.zeros(2, 2, 3, 3).tolist()


@pytest.mark.parametrize('strategy', ['mean', 'all', 'half'])
def test_scale_and_offset_of_the_attribution_do_not_matter_but_its_sign_does(strategy):
    maps, prior = randn(3, 4, 3, 5), torch.rand(3, 3, 5, dtype=torch.float64)
    loss = privileged_attribution(maps, prior, strategy)
    assert loss.abs().min() > 1e-3
    for scale, offset in ((3.0, 0.0), (0.5, 2.0), (100.0, -7.0)):
        assert_close(privileged_attribution(scale * maps + offset, prior, strategy), loss, rtol=1e-6, atol=1e-6)
    # Of the size that gradients behind a pooling layer have: the eps of the page is added to the deviation, not to
    # its square.
    assert_close(privileged_attribution(1e-4 * maps, prior, strategy), loss, rtol=2e-3, atol=1e-4)
    assert_close(privileged_attribution(-maps, prior, strategy), -loss, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('strategy', ['mean', 'all', 'half'])
def test_a_constant_prior_costs_nothing(strategy):
    loss = privileged_attribution(randn(3, 4, 3, 5), torch.full((3, 3, 5), 0.7, dtype=torch.float64), strategy)
    assert_close(loss, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize('strategy', ['mean', 'all', 'half'])
@pytest.mark.parametrize('value', [0.0, 2.0, 0.1])
def test_a_constant_attribution_costs_nothing_and_gives_finite_gradients(strategy, value):
    maps = torch.full((2, 4, 3, 5), value, dtype=torch.float64)
    maps[1] = randn(4, 3, 5)
    maps.requires_grad_()
    loss = privileged_attribution(maps, torch.rand(2, 3, 5, dtype=torch.float64), strategy)
    assert_close(loss[0].detach(), double(0.0), rtol=0, atol=1e-6)
    assert loss[1].abs() > 1e-3
    loss.sum().backward()
    assert maps.grad.isfinite().all()
    assert maps.grad[1].abs().max() > 1e-3


def test_a_dead_map_of_a_relu_in_float32_costs_nothing():
    maps = torch.zeros(2, 4, 7, 7, requires_grad=True)
    loss = privileged_attribution(maps, torch.rand(2, 7, 7))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize('strategy', ['mean', 'all', 'half', [0]])
def test_a_map_of_one_cell_is_constant(strategy):
    maps = randn(2, 2, 1, 1).requires_grad_()
    loss = privileged_attribution(maps, torch.ones(2, 1, 1, dtype=torch.float64), strategy)
    assert_close(loss.detach(), torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-6)
    loss.sum().backward()
    assert maps.grad.isfinite().all()


# --- loss: reference and gradients ---


@pytest.mark.parametrize('channels', [1, 2, 5, 6])
def test_the_loss_equals_plain_loops(channels):
    maps, prior = randn(3, channels, 4, 3, seed=channels), torch.rand(3, 4, 3, dtype=torch.float64)
    for n in range(3):
        terms = [naive_term(channel.tolist(), prior[n].tolist()) for channel in maps[n]]
        mean = naive_term(maps[n].mean(0).tolist(), prior[n].tolist())
        assert_close(privileged_attribution(maps, prior, 'all')[n].item(), sum(terms), rtol=1e-9, atol=1e-9)
        assert_close(privileged_attribution(maps, prior, 'mean')[n].item(), mean, rtol=1e-9, atol=1e-9)
        if channels % 2 == 0:
            half = naive_term(maps[n, : channels // 2].mean(0).tolist(), prior[n].tolist())
            assert_close(privileged_attribution(maps, prior, 'half')[n].item(), half, rtol=1e-9, atol=1e-9)


def test_half_of_one_channel_is_no_nan():
    try:
        loss = privileged_attribution(randn(2, 1, 3, 3), torch.rand(2, 3, 3, dtype=torch.float64), 'half')
    except ValueError:
        return
    assert loss.isfinite().all()


def test_faces_without_a_prior_cost_nothing():
    prior = torch.rand(3, 3, 3, dtype=torch.float64)
    prior[1] = 0
    loss = privileged_attribution(randn(3, 4, 3, 3), prior)
    assert loss[1] == 0
    assert loss[[0, 2]].abs().min() > 1e-3


@pytest.mark.parametrize('strategy', ['mean', 'all', 'half', [0, 3]])
def test_gradcheck_in_the_attribution(strategy):
    prior = torch.rand(2, 3, 2, dtype=torch.float64)
    maps = randn(2, 4, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: privileged_attribution(a, prior, strategy), maps)
    assert torch.autograd.gradgradcheck(lambda a: privileged_attribution(a, prior, strategy), maps)


@pytest.mark.parametrize('kind', ['gradient_x_input', 'gradient'])
@pytest.mark.parametrize('score', ['sum', 'gt', 'pred', 'sum_abs'])
def test_gradcheck_of_the_whole_loss_in_weights_and_feature(kind, score):
    tail = Tail()
    names, weights = zip(*tail.named_parameters(), strict=True)
    # A constant of all scores but `sum_abs`, where its derivative is 0 all the same.
    checked = [name for name in names if name != 'fc.bias']
    prior, label = landmark_prior(torch.rand(2, 5, 2, dtype=torch.float64) * 2, (3, 3), 0.8), torch.tensor([1, 3])

    def loss(feature, *values):
        logits = torch.func.functional_call(tail, dict(zip(checked, values, strict=True)), (feature,))
        return privileged_attribution(attribution(class_score(logits, score, label), feature, kind), prior).mean()

    feature = randn(2, 3, 3, 3, seed=5).requires_grad_()
    values = [dict(zip(names, weights, strict=True))[name] for name in checked]
    assert torch.autograd.gradcheck(loss, (feature, *values))
    gradients = torch.autograd.grad(loss(feature, *values), values)
    assert all(gradient.abs().max() > 1e-4 for gradient in gradients)  # in all weights of a multi-channel net
