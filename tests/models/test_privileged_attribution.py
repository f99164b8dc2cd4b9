"""PAL as a classifier trains with it."""

import pytest
import torch
from tiny import CE, classifier, faces, hooks_of, total
from torch.testing import assert_close

from mmfer.functional import landmark_prior, pixels_to_cells, privileged_attribution
from mmfer.models.losses import PrivilegedAttributionLoss

EXACT = {'rtol': 1e-10, 'atol': 1e-12}


def pal(path='backbone.layer4', **options):
    return dict(
        taps=dict(stage=path),
        branches=dict(gradient=dict(type='mmfer.GradientActivation', inputs=dict(feature='stage'))),
        losses=dict(pal=dict(type='mmfer.PrivilegedAttributionLoss', **options)),
    )


def pal_classifier(path='backbone.layer4', seed=0, **options):
    return classifier(dict(cls=CE, pal=pal(path, **options)), size=64, seed=seed)


def exact(model, rows=4, **options):
    """The network in float64 with frozen statistics, and faces for it."""
    inputs, batch = faces(rows, size=64, **options)
    batch.landmarks = batch.landmarks.double()
    return model.double().eval(), inputs.double(), batch


def term(model, inputs, batch):
    return model.loss(inputs, batch)['pal.pal_loss']


@pytest.mark.parametrize('strategy', ['mean', 'half', 'all', [1, 5, 11]], ids=str)
@pytest.mark.parametrize('path', ['backbone.layer4', 'backbone.layer3'])
def test_its_gradient_is_what_changed_weights_do_to_the_loss(path, strategy):
    model, inputs, batch = exact(pal_classifier(path, strategy=strategy))
    term(model, inputs, batch).backward()
    names = [
        'backbone.conv1.weight',
        'backbone.layer2.0.conv1.weight',
        'backbone.layer3.1.conv2.weight',
        'head.fc.weight',
    ]
    # Of layer4 with layer3 tapped, only the second derivative can tell.
    names += ['backbone.layer4.0.conv1.weight', 'backbone.layer4.1.bn2.weight']
    generator = torch.Generator().manual_seed(3)
    for name in names:
        weight = model.get_parameter(name)
        direction = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        step = 1e-7 / direction.norm()
        values = []
        with torch.no_grad():
            start = weight.clone()
        for sign in (1, -1):
            with torch.no_grad():
                weight.copy_(start + sign * step * direction)
            values.append(term(model, inputs, batch).item())
        with torch.no_grad():
            weight.copy_(start)
        slope = (values[0] - values[1]) / (2 * step.item())
        assert abs(slope) > 1e-6, name
        assert (weight.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4), name


def test_it_reaches_every_weight_but_the_heads_bias():
    model, inputs, batch = exact(pal_classifier('backbone.layer3'))
    weights = dict(model.named_parameters())
    grads = torch.autograd.grad(term(model, inputs, batch), list(weights.values()), allow_unused=True)
    silent = {name for name, grad in zip(weights, grads, strict=True) if grad is None or not grad.any()}
    assert 'head.fc.bias' in silent  # a constant of the score
    assert all(name.endswith('.bias') for name in silent)  # what cross-entropy reaches all the same


def test_steps_along_it_bring_attribution_and_landmarks_together():
    model, inputs, batch = exact(pal_classifier('backbone.layer3', loss_weight=0.1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    before = term(model, inputs, batch).item()
    for _ in range(10):
        optimizer.zero_grad()
        term(model, inputs, batch).backward()
        optimizer.step()
    assert term(model, inputs, batch).item() < before - 0.1


def test_the_term_is_the_mean_of_its_formula_over_the_faces():
    model, inputs, batch = exact(pal_classifier('backbone.layer3', points='no_jaw', sigma=40.0, loss_weight=0.5))
    value = term(model, inputs, batch)
    with model.supervision.taps.record(model) as tapped:
        feats = model.extract_feat(inputs)
        score = model.head(feats).sum()
    maps = (torch.autograd.grad(score, tapped['stage'])[0].abs() * tapped['stage']).mean(1)
    x, y = (pixels_to_cells(batch.landmarks[:, 17:], (64, 64), (4, 4)))[..., None, None].unbind(2)
    grid = torch.arange(4.0)
    sigma = 40 / 112 * 4
    inside = (x > -0.5) & (x < 3.5) & (y > -0.5) & (y < 3.5)
    prior = (inside * torch.exp(-((grid - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * sigma**2))).sum(1)
    prior = prior / prior.amax((1, 2), keepdim=True)
    standard = (maps - maps.mean((1, 2), keepdim=True)) / maps.std((1, 2), correction=0, keepdim=True)
    assert_close(value, -0.5 * (standard * prior).sum((1, 2)).mean(), rtol=1e-4, atol=1e-6)  # eps


def unknown_points(batch, row):
    batch.landmarks[row] = torch.nan


def invalid(batch, row):
    batch.landmarks[row] = torch.nan
    batch.landmark_valid[row] = False


def outside(batch, row):
    batch.landmarks[row] += 1000


@pytest.mark.parametrize('lose', [unknown_points, invalid, outside])
def test_a_face_without_landmarks_is_left_out_of_value_and_gradient(lose):
    def step(lost):
        model, inputs, batch = exact(pal_classifier('backbone.layer3', strategy='all'))
        if lost:
            lose(batch, 1)
            value = term(model, inputs, batch)
        else:
            rows = [0, 2, 3]
            _, three = faces(4, size=64)
            three.landmarks = batch.landmarks
            columns = {name: column[rows] for name, column in three.columns().items()}
            value = term(model, inputs[rows], type(three)(**columns))
        weights = [weight for name, weight in model.named_parameters() if name != 'head.fc.bias']
        return value, torch.autograd.grad(value, weights)

    (value, grads), (expected, expected_grads) = step(True), step(False)
    assert_close(value, expected, **EXACT)
    for grad, wanted in zip(grads, expected_grads, strict=True):
        assert_close(grad, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize('lose', [unknown_points, invalid, outside])
def test_a_batch_without_landmarks_gives_0_and_no_nan(lose):
    model = pal_classifier('backbone.layer3')
    inputs, batch = faces(4, size=64)
    lose(batch, slice(None))
    losses = model.loss(inputs, batch)
    assert losses['pal.pal_loss'].item() == 0
    total(losses).backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_an_unknown_point_is_left_out_of_a_faces_prior():
    loss = PrivilegedAttributionLoss()
    _, batch = faces(2, size=64)
    batch.landmarks[0, 30] = torch.nan
    seen = loss.prior(batch.landmarks, (64, 64), (7, 7))
    others = [point for point in range(68) if point != 30]
    cells = pixels_to_cells(batch.landmarks, (64, 64), (7, 7))
    assert_close(seen[0], landmark_prior(cells[:1, others], (7, 7), 0.5)[0])
    assert_close(seen[1], landmark_prior(cells[1:], (7, 7), 0.5)[0])


@pytest.mark.parametrize(('cells', 'sigma'), [(3, 0.5), (14, 0.5), (28, 0.75), (56, 1.5), (112, 3.0)])
def test_sigma_is_given_for_a_face_of_112_px_and_at_least_half_a_cell(cells, sigma):
    loss = PrivilegedAttributionLoss(points='no_jaw')
    middle = torch.full((1, 68, 2), 224 / cells * (cells // 2 + 0.5) - 0.5)  # of a cell
    prior = loss.prior(middle, (224, 224), (cells, cells))[0]
    beside = prior[cells // 2, cells // 2 + 1]
    assert_close(prior[cells // 2, cells // 2].item(), 1.0)
    assert_close(beside.item(), torch.tensor(-1 / (2 * sigma**2)).exp().item(), rtol=1e-3, atol=0)


def test_the_jaw_may_be_left_out():
    _, batch = faces(2, size=64)
    moved = batch.landmarks.clone()
    moved[:, :17] += 5
    for points, same in (('no_jaw', True), ('all', False)):
        loss = PrivilegedAttributionLoss(points=points)
        priors = [loss.prior(landmarks, (64, 64), (8, 8)) for landmarks in (batch.landmarks, moved)]
        assert torch.equal(*priors) == same


def test_landmarks_of_mirrored_faces_give_the_mirrored_prior():
    loss = PrivilegedAttributionLoss()
    _, batch = faces(2, size=64)
    mirrored = batch.landmarks.clone()
    mirrored[..., 0] = 63 - mirrored[..., 0]
    priors = [loss.prior(landmarks, (64, 64), (8, 8)) for landmarks in (batch.landmarks, mirrored)]
    assert_close(priors[1], priors[0].flip(-1))


def test_a_dead_layer_gives_0_and_finite_gradients():
    attribution = torch.zeros(3, 4, 5, 5, requires_grad=True)
    _, batch = faces(3, size=64)
    for strategy in ('mean', 'all', 'half', [0]):
        loss = PrivilegedAttributionLoss(strategy=strategy)
        value = loss(attribution, batch.landmarks, batch.landmark_valid, torch.zeros(3, 3, 64, 64))
        assert value.item() == 0
        (grad,) = torch.autograd.grad(value, attribution)
        assert grad.isfinite().all()


def test_rounding_in_a_constant_map_is_not_blown_up():
    maps = torch.full((1, 1, 7, 7), 0.3)
    maps[0, 0, ::2] = torch.nextafter(torch.tensor(0.3), torch.tensor(1.0))
    assert privileged_attribution(maps, torch.rand(1, 7, 7)).item() == 0
    maps[0, 0, ::2] *= 1.001
    assert abs(privileged_attribution(maps, torch.rand(1, 7, 7)).item()) > 0.1


@pytest.mark.parametrize(('options', 'message'), [
    (dict(strategy='most'), "strategy must be mean, all, half or channel numbers, got 'most'"),
    (dict(strategy=[]), 'strategy takes mean, all, half or different channel numbers from 0, not '),
    (dict(strategy=[2, 2]), 'different channel numbers from 0, not .2, 2.'),
    (dict(strategy=[-1]), 'different channel numbers from 0, not .-1.'),
    (dict(strategy=[0.5]), 'different channel numbers from 0, not .0.5.'),
    (dict(sigma=0), 'sigma must be above 0, got 0'),
    (dict(points='jaw'), 'there is no landmark set "jaw"; choose one of all, no_jaw'),
])  # fmt: skip
def test_unknown_choices_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PrivilegedAttributionLoss(**options)


def test_a_channel_that_the_map_has_not_is_named_at_the_first_step():
    model = pal_classifier(strategy=[3, 64])
    with pytest.raises(ValueError, match='strategy names channel 64, but the tapped map has 64 channels'):
        model.loss(*faces(2, size=64))


def test_a_map_of_one_cell_is_refused():
    said = r'gives one cell for inputs of 32 px.*: set model.supervision.pal.taps.stage=backbone.layer3$'
    with pytest.raises(ValueError, match=said):
        classifier(dict(cls=CE, pal=pal()), size=32)
    model = classifier(dict(cls=CE, pal=pal('backbone.layer3')), size=32)  # the cure
    assert model.loss(*faces(2, size=32))['pal.pal_loss'].isfinite()
    model = classifier(dict(cls=CE, pal=pal()), size=64)
    with pytest.raises(ValueError, match='inputs of 32 px leave one cell of the tapped map.*tap an earlier stage'):
        model.loss(*faces(2, size=32))


def test_other_landmarks_than_the_68_are_refused():
    model = pal_classifier()
    inputs, batch = faces(2, size=64)
    batch.landmarks = batch.landmarks[:, :5]
    with pytest.raises(ValueError, match='"all" is defined on 68 points, got 5'):
        model.loss(inputs, batch)


def test_it_needs_landmarks_and_says_where():
    assert pal_classifier().supervision.needs_landmarks == 'supervision.pal.losses.pal'


def test_nothing_of_it_is_left_in_prediction():
    plain, model = classifier(dict(cls=CE), size=64), pal_classifier('backbone.layer3')
    inputs, batch = faces(3, size=64)
    total(model.loss(inputs, batch)).backward()  # moves the statistics
    plain.loss(inputs, batch)
    assert hooks_of(model) == hooks_of(plain) == 0
    assert not [name for name in model.state_dict() if name.startswith('supervision.')]
    plain.eval()
    model.eval()
    with torch.no_grad():
        assert_close(model(inputs, mode='tensor'), plain(inputs, mode='tensor'), rtol=0, atol=0)
        ours, theirs = (network(inputs, list(batch), mode='predict') for network in (model, plain))
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine.pred_score, other.pred_score, rtol=0, atol=0)
