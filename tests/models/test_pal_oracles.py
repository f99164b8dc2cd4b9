"""PAL through a classifier, against the numbers of its method page, plain loops and finite differences."""

import math

import pytest
import torch
from tiny import CE, classifier, faces, hooks_of, total
from torch.testing import assert_close

from mmfer.models.losses import PrivilegedAttributionLoss
from mmfer.models.supervision import Part
from mmfer.models.supervision.branches import GradientActivation

SIZE = 64  # the last stages are 4 x 4 and 2 x 2
MAPS = {'backbone.layer3': (32, 4), 'backbone.layer4': (64, 2)}
KEPT: list = []


class Keep(Part):
    """A loss that notes what it is given."""

    local_rows = True

    def forward(self, attribution, feature, embedding):
        KEPT.append((attribution.detach().clone(), feature.detach().clone(), embedding.detach().clone()))
        return 0 * attribution.sum()


def pal(layer='backbone.layer4', keep=False, score='sum', kind='gradient_x_input', **loss) -> dict:
    """One method; `loss` goes to PAL's loss."""
    losses = dict(pal=dict(type='mmfer.PrivilegedAttributionLoss', **loss))
    if keep:
        losses['keep'] = dict(type=Keep)
    branch = dict(type='mmfer.GradientActivation', score=score, kind=kind, inputs=dict(feature='feature'))
    return dict(taps=dict(feature=layer), branches=dict(attribution=branch), losses=losses)


def pal_classifier(layer='backbone.layer4', with_ce=False, **options):
    """In float64 and without batch statistics, so that finite differences hold."""
    methods = dict(cls=CE) if with_ce else {}
    return classifier(methods | dict(pal=pal(layer, **options)), seed=1, size=SIZE).double().eval()


def batch_of(rows=4, seed=3):
    inputs, batch = faces(rows, size=SIZE, seed=seed)
    batch.landmarks = batch.landmarks.double()
    return inputs.double(), batch


def loss_of(model, inputs, batch):
    return model.loss(inputs, batch)['pal.pal_loss']


# --- attribution of a network that ends in average pooling and a linear layer ---


@pytest.mark.parametrize('score', ['sum', 'gt', 'pred', 'sum_abs'])
def test_behind_the_last_stage_the_attribution_is_the_class_weights_times_the_map(score):
    model, (inputs, batch) = pal_classifier(keep=True, score=score), batch_of()
    KEPT.clear()
    model.loss(inputs, batch)
    ((a, feature, embedding),) = KEPT
    weight, bias = model.head.fc.weight.detach(), model.head.fc.bias.detach()
    logits = embedding @ weight.T + bias
    slope = {
        'sum': weight.sum(0).expand(4, -1),
        'gt': weight[batch.label],
        'pred': weight[logits.argmax(1)],
        'sum_abs': logits.sign() @ weight,
    }[score]
    assert a.shape == (4, 64, 2, 2)
    assert_close(a, slope.abs()[..., None, None] * feature / 4, rtol=1e-9, atol=1e-12)
    if score == 'sum':
        # With the slopes' signs this is the page's identity: the score less the biases.
        signed = a * slope.sign()[..., None, None]
        assert_close(signed.sum((1, 2, 3)), logits.sum(1) - bias.sum(), rtol=1e-9, atol=1e-9)


def test_the_gradient_alone_is_constant_over_the_map():
    model, (inputs, batch) = pal_classifier(keep=True, kind='gradient'), batch_of()
    KEPT.clear()
    loss = loss_of(model, inputs, batch)
    ((a, _, _),) = KEPT
    expected = model.head.fc.weight.detach().sum(0).abs() / 4
    assert_close(a, expected[None, :, None, None].expand_as(a), rtol=1e-9, atol=1e-12)
    assert_close(loss.item(), 0.0, rtol=0, atol=1e-6)


# --- the loss, written out ---


def prior_of(points, size, sigma):
    """Landmarks in pixels of SIZE, those inside the image drawn on a map of `size` cells, cell by cell."""
    prior = torch.zeros(size, size, dtype=torch.float64)
    for x, y in points.tolist():
        if not (-0.5 <= x < SIZE - 0.5 and -0.5 <= y < SIZE - 0.5):
            continue
        x, y = ((value + 0.5) * size / SIZE - 0.5 for value in (x, y))
        for row in range(size):
            for column in range(size):
                prior[row, column] += math.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2))
    return prior / prior.max()


def term(a, prior):
    return -((a - a.mean()) / (a.std(correction=0) + 1e-8) * prior).sum()


@pytest.mark.parametrize('layer', MAPS)
@pytest.mark.parametrize(('points', 'first'), [('all', 0), ('no_jaw', 17)])
@pytest.mark.parametrize('strategy', ['mean', 'all', 'half', [5, 2]])
def test_the_loss_equals_plain_loops(layer, points, first, strategy):
    channels, size = MAPS[layer]
    sigma = 40.0  # px of a face of 112: wide enough not to fall below half a cell
    model = pal_classifier(layer, keep=True, points=points, strategy=strategy, sigma=sigma, loss_weight=0.5)
    inputs, batch = batch_of()
    batch.landmark_valid[1] = False
    batch.landmarks[1] = math.nan
    KEPT.clear()
    loss = loss_of(model, inputs, batch)
    ((a, _, _),) = KEPT
    assert a.shape == (4, channels, size, size)
    values = []
    for n in (0, 2, 3):
        prior = prior_of(batch.landmarks[n, first:], size, sigma / 112 * size)
        chosen = {'mean': slice(None), 'half': slice(channels // 2)}.get(str(strategy), strategy)
        maps = a[n] if strategy == 'all' else a[n, chosen].mean(0)[None]
        values.append(sum(term(channel, prior) for channel in maps))
    assert_close(loss.item(), 0.5 * sum(values).item() / 3, rtol=1e-6, atol=1e-9)
    assert abs(loss.item()) > 1e-3


def test_the_published_sigma_is_3_px_of_a_face_of_112():
    loss = PrivilegedAttributionLoss().double()
    spelt = PrivilegedAttributionLoss(sigma=3.0, points='all', strategy='mean').double()
    a = torch.rand(2, 3, 56, 56, dtype=torch.float64)
    points = 10 + 90 * torch.rand(2, 68, 2, dtype=torch.float64)
    valid, inputs = torch.ones(2, dtype=torch.bool), torch.zeros(2, 3, 112, 112)
    default = loss(a, points, valid, inputs)
    assert_close(default, spelt(a, points, valid, inputs), rtol=0, atol=0)
    values = []
    for n in range(2):  # 56 cells of 2 px: a sigma of 1.5 cells
        prior = torch.zeros(56, 56, dtype=torch.float64)
        grid = torch.arange(56, dtype=torch.float64)
        for x, y in points[n].tolist():
            x, y = (x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5
            prior += torch.exp(-((grid[None] - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * 1.5**2))
        values.append(term(a[n].mean(0), prior / prior.max()))
    assert_close(default, sum(values) / 2, rtol=1e-6, atol=1e-9)


# --- gradients ---


@pytest.mark.parametrize('layer', MAPS)
@pytest.mark.parametrize('strategy', ['mean', 'half'])
def test_gradients_of_all_weights_equal_finite_differences(layer, strategy):
    model, (inputs, batch) = pal_classifier(layer, strategy=strategy, sigma=20.0), batch_of()
    loss_of(model, inputs, batch).backward()
    # Along every weight's own gradient, and along a random direction of it.
    checked = [
        'backbone.conv1.weight',
        'backbone.bn1.bias',
        'backbone.layer3.0.conv1.weight',
        'backbone.layer4.1.conv2.weight',
        'backbone.layer4.1.bn2.weight',
        'head.fc.weight',
    ]
    parameters = dict(model.named_parameters())
    for name in checked:
        parameter = parameters[name]
        gradient = parameter.grad.clone()
        assert gradient.abs().max() > 1e-6, name
        generator = torch.Generator().manual_seed(4)
        random = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        for direction in (gradient / gradient.norm(), random / random.norm()):
            slope, eps, at, values = (gradient * direction).sum().item(), 1e-6, parameter.detach().clone(), []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.copy_(at + sign * eps * direction)
                values.append(loss_of(model, inputs, batch).item())
            with torch.no_grad():
                parameter.copy_(at)
            assert (values[0] - values[1]) / (2 * eps) == pytest.approx(slope, rel=1e-4, abs=1e-7), name


def test_every_weight_learns_from_it_but_biases_behind_the_tap():
    for layer in MAPS:
        model, (inputs, batch) = pal_classifier(layer), batch_of()
        loss_of(model, inputs, batch).backward()
        without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        # Biases behind the tap do not change the slope of the score.
        behind = [n for n, _ in model.named_parameters() if n.endswith('bias') and n > f'{layer}.~']
        assert without == behind
        assert 'head.fc.bias' in behind


def test_its_gradient_adds_to_the_cross_entropys_and_changes_nothing_else():
    """A `.backward()` or `zero_grad` inside the loss would show here."""
    inputs, batch = batch_of()

    def gradients(*names):
        model = pal_classifier(with_ce=True, layer='backbone.layer3')
        losses = model.loss(inputs, batch)
        assert all(p.grad is None for p in model.parameters())
        sum(losses[name] for name in names).backward()
        return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}

    both, ce, alone = (
        gradients(*names) for names in (('cls.ce_loss', 'pal.pal_loss'), ('cls.ce_loss',), ('pal.pal_loss',))
    )
    for name, value in both.items():
        assert_close(value, ce[name] + alone[name], rtol=1e-7, atol=1e-10)


# --- faces without landmarks ---


def test_faces_without_landmarks_are_left_out_of_the_mean():
    model, (inputs, batch) = pal_classifier(), batch_of(5)
    batch.landmark_valid[[1, 4]] = False
    batch.landmarks[1], batch.landmarks[4] = math.nan, 0.0
    loss = loss_of(model, inputs, batch)
    rest = [0, 2, 3]
    _, alone = batch_of(5)
    alone = type(batch)(
        alone.label[rest],
        alone.sample_idx[rest],
        landmarks=alone.landmarks[rest],
        landmark_valid=torch.ones(3, dtype=torch.bool),
    )
    assert_close(loss, loss_of(model, inputs[rest], alone), rtol=1e-9, atol=1e-12)


def test_a_batch_without_landmarks_costs_nothing_and_gives_finite_gradients():
    model, (inputs, batch) = pal_classifier(with_ce=True), batch_of()
    batch.landmark_valid[:] = False
    batch.landmarks[:] = math.nan
    losses = model.loss(inputs, batch)
    assert losses['pal.pal_loss'].item() == 0
    total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_single_points_that_are_unknown_are_left_out_of_the_prior():
    model, (inputs, batch) = pal_classifier(points='no_jaw', sigma=20.0), batch_of()
    expected = loss_of(model, inputs, batch)
    batch.landmarks[:, :17] = math.nan  # the jaw, which is not asked for
    assert_close(loss_of(model, inputs, batch), expected, rtol=0, atol=0)
    everything = pal_classifier(points='all', sigma=20.0)
    assert_close(loss_of(everything, inputs, batch), expected, rtol=1e-9, atol=1e-12)


def test_faces_are_scored_one_by_one():
    model, (inputs, batch) = pal_classifier(), batch_of()
    each = [loss_of(model, inputs[n : n + 1], batch[n : n + 1]) for n in range(4)]
    assert_close(loss_of(model, inputs, batch), sum(each) / 4, rtol=1e-9, atol=1e-12)


# --- what is left of it ---


def test_nothing_remains_at_test_time():
    model, plain = pal_classifier(with_ce=True), classifier(seed=1, size=SIZE).double().eval()
    inputs, batch = batch_of()
    total(model.loss(inputs, batch)).backward()
    assert hooks_of(model) == 0
    assert set(model.state_dict()) == set(plain.state_dict())
    plain.load_state_dict(model.state_dict(), strict=True)
    with torch.inference_mode():
        assert_close(model(inputs), plain(inputs), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('part', 'options', 'said'),
    [
        (GradientActivation, dict(score='probability'), 'probability'),
        (GradientActivation, dict(kind='cam'), 'cam'),
        (PrivilegedAttributionLoss, dict(strategy='best'), 'best'),
        (PrivilegedAttributionLoss, dict(sigma=0), 'sigma'),
        (PrivilegedAttributionLoss, dict(points='eyes'), 'eyes'),
    ],
)
def test_settings_without_a_meaning_are_refused(part, options, said):
    with pytest.raises(ValueError, match=said):
        part(**options)
