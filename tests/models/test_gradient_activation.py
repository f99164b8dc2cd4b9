"""The attribution of a tapped layer, and the networks in which it cannot be had."""

import pytest
import torch
from mmengine.runner import turn_on_activation_checkpointing
from tiny import CE, ToyClassifier, classifier, faces, total
from torch import nn
from torch.testing import assert_close

from mmfer.functional import attribution
from mmfer.models.supervision import Part, Supervision
from mmfer.models.supervision.branches import GradientActivation


class KeepAttribution(Part):
    """A loss that only looks."""

    def forward(self, attribution):
        self.seen = attribution
        return attribution.sum() * 0


def supervision(path='backbone.layer4', tap='stage4', **options):
    gradient = dict(type='mmfer.GradientActivation', inputs=dict(feature=tap), **options)
    return dict(cls=CE, pal=dict(taps={tap: path}, branches=dict(gradient=gradient),
                                 losses=dict(keep=dict(type=KeepAttribution))))  # fmt: skip


def model_with(path='backbone.layer4', **options):
    return classifier(supervision(path, **options), size=64)


def published(model, inputs, batch):
    """What the branch gives in a step, and the tapped feature."""
    with model.supervision.taps.record(model) as tapped:
        model.loss(inputs, batch)
    (feature,) = tapped.values()
    return model.supervision.methods['pal']['losses']['keep'].seen, feature


SCORES = {
    'sum': lambda weight, logits, label: weight.sum(0).expand(len(logits), -1),
    'gt': lambda weight, logits, label: weight[label],
    'pred': lambda weight, logits, label: weight[logits.argmax(1)],
    'sum_abs': lambda weight, logits, label: logits.sign() @ weight,
}


@pytest.mark.parametrize('score', SCORES)
def test_behind_average_pooling_it_is_the_heads_weight_times_the_map(score):
    model = model_with(score=score)
    inputs, batch = faces(5, size=64)
    seen, feature = published(model, inputs, batch)
    fc = model.head.fc
    assert feature.shape == (5, 64, 2, 2)
    logits = feature.mean((2, 3)) @ fc.weight.T + fc.bias
    slope = SCORES[score](fc.weight, logits, batch.label).abs() / 4  # of 2 x 2 cells
    assert_close(seen, slope[:, :, None, None] * feature)


def test_the_gradient_alone_is_constant_behind_average_pooling():
    model = model_with(kind='gradient')
    seen, feature = published(model, *faces(5, size=64))
    slope = model.head.fc.weight.sum(0).abs() / 4
    assert_close(seen, slope[None, :, None, None].expand_as(feature))


def test_signed_it_adds_up_to_the_score_without_the_biases():
    """Gradient x input of a linear function is complete."""
    model = classifier(None, size=64).double().eval()
    inputs, _ = faces(5, size=64)
    (feature,) = model.backbone(inputs.double())
    logits = model.head(model.neck((feature,)))
    parts = attribution(logits.sum(1), feature, signed=True)
    assert_close(parts.sum((1, 2, 3)), logits.sum(1) - model.head.fc.bias.sum(), rtol=1e-10, atol=1e-12)
    assert_close(attribution(logits.sum(1), feature), parts.abs(), rtol=1e-10, atol=1e-14)  # the map is >= 0


@pytest.mark.parametrize('path', ['backbone.layer1', 'backbone.layer3', 'backbone.layer3.0', 'backbone.layer4.1.conv1'])
def test_an_earlier_tap_gives_the_gradient_of_everything_behind_it(path):
    model = model_with(path).double().eval()  # statistics stand still, so that rows are independent
    inputs, batch = faces(4, size=64)
    inputs = inputs.double()
    seen, feature = published(model, inputs, batch)
    assert seen.shape == feature.shape
    seen = seen.detach().clone()

    # One activation a little higher, by a hook: the score changes by the gradient.
    cell = tuple(int(i) for i in torch.unravel_index(seen.abs().argmax(), seen.shape))
    step = 1e-6

    def score(change):
        def add(_module, _inputs, output):
            output = output.clone()
            output[cell] += change
            return output

        with model.backbone.get_submodule(path.removeprefix('backbone.')).register_forward_hook(add):
            return model(inputs, mode='tensor').sum(1)

    rise = (score(step) - score(-step))[cell[0]] / (2 * step)
    assert_close(seen[cell], rise.abs() * feature[cell], rtol=1e-5, atol=1e-12)
    assert rise != 0


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('path', ['backbone.layer4', 'backbone.layer3'])
def test_mixed_precision_publishes_float32_near_the_exact_values(dtype, path):
    model = model_with(path).eval()
    inputs, batch = faces(4, size=64)
    exact, _ = published(model, inputs, batch)
    exact = exact.detach().clone()
    with torch.autocast('cpu', dtype=dtype):
        rough, _ = published(model, inputs, batch)
    assert rough.dtype == torch.float32
    assert_close(rough, exact, rtol=0, atol=0.06 * exact.max().item())
    total(model.loss(inputs, batch)).backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_gradients_below_float16s_least_number_survive():
    feature = torch.rand(2, 3, 64, 64, dtype=torch.float16, requires_grad=True)
    weight = torch.tensor([1e-4, 2e-4, 3e-4], dtype=torch.float16)
    score = feature.sum((2, 3), dtype=torch.float16) / 4096 @ weight
    assert weight[0].item() / 4096 < 2**-25  # half of float16's least number
    expected = weight.float()[None, :, None, None] / 4096 * feature.detach().float()
    assert_close(attribution(score, feature), expected, rtol=2e-2, atol=0)


def test_its_gradient_reaches_the_weights_behind_the_tap_by_the_second_derivative():
    model = model_with('backbone.layer3')
    seen, _ = published(model, *faces(4, size=64))
    slope = torch.autograd.grad(seen.square().sum(), model.backbone.layer4[1].conv2.weight)[0]
    assert slope.abs().max() > 0
    assert seen.requires_grad


@pytest.mark.parametrize(('options', 'message'), [
    (dict(score='softmax'), 'GradientActivation: score must be one of sum, gt, pred, sum_abs, got .softmax.'),
    (dict(kind='cam'), 'GradientActivation: kind must be one of gradient_x_input, gradient, got .cam.'),
])  # fmt: skip
def test_unknown_choices_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GradientActivation(**options)


def refusal(model):
    with pytest.raises(ValueError, match=r'^GradientActivation differentiates twice behind the tap ') as caught:
        model.supervision.check(model)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def with_sync_bn(model):
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


class SyncBatchNorm(nn.BatchNorm2d):
    """mmcv's, as far as can be told without its compiled operators."""


def test_batch_norm_that_ranks_share_is_refused_behind_the_tap_only():
    message = refusal(with_sync_bn(model_with('backbone.layer3')))
    assert 'backbone.layer4.0.bn1 is a SyncBatchNorm' in message
    assert 'tap the last stage' in message
    assert 'sync_bn=None' in message
    last = with_sync_bn(model_with('backbone.layer4'))
    assert isinstance(last.backbone.layer4[1].bn2, nn.SyncBatchNorm)
    last.supervision.check(last)


def test_it_is_refused_in_what_follows_the_last_stage_and_within_it():
    model = model_with()
    model.neck.norm = SyncBatchNorm(64)
    assert 'neck.norm is a SyncBatchNorm' in refusal(model)
    inner = with_sync_bn(model_with('backbone.layer4.0'))
    assert 'backbone.layer4.1.bn1 is a SyncBatchNorm' in refusal(inner)


def test_a_config_that_asks_for_it_ends_when_the_model_is_built():
    network = with_sync_bn(classifier(None))
    with pytest.raises(ValueError, match=r'backbone.layer4.0.bn1 is a SyncBatchNorm, which cannot be: .*sync_bn=None'):
        Supervision(supervision('backbone.layer3'), network)


def test_activation_checkpointing_is_refused_behind_the_tap_only():
    model = model_with('backbone.layer3')
    model.backbone.layer2[0].with_cp = model.backbone.layer3[1].with_cp = True
    model.supervision.check(model)
    model.backbone.layer4[1].with_cp = True
    message = refusal(model)
    assert 'backbone.layer4.1 recomputes its activations' in message
    assert 'with_cp' in message


def test_mmengines_activation_checkpointing_is_seen():
    model = model_with('backbone.layer3')
    turn_on_activation_checkpointing(model, ['backbone.layer2'])
    model.supervision.check(model)
    turn_on_activation_checkpointing(model, ['backbone.layer4'])
    assert 'backbone.layer4 recomputes its activations' in refusal(model)
    whole = model_with('backbone.layer4')
    turn_on_activation_checkpointing(whole, ['backbone'])
    assert 'backbone recomputes its activations' in refusal(whole)  # the tap is recorded without a graph then


def compile_train_step(model):
    model.train_step = torch.compile(model.train_step)  # as mmengine alone does for compile=True


COMPILED = {
    'the model is compiled': compile_train_step,
    'backbone is compiled': lambda model: setattr(model, 'backbone', torch.compile(model.backbone)),
    'head is compiled': lambda model: model.head.compile(),
    'backbone.layer4 is compiled': lambda model: model.backbone.layer4.compile(),
}


@pytest.mark.parametrize('compiled', COMPILED)
def test_compiled_code_is_refused(compiled):
    model = model_with('backbone.layer3')
    COMPILED[compiled](model)
    if 'backbone is' in compiled:  # its modules have got other paths
        assert 'is compiled' in refusal(model)
    else:
        assert f'{compiled}, which cannot be: leave it to --compile, which does not compile it' in refusal(model)


def test_compiled_code_before_the_tap_does_not_matter():
    model = model_with('backbone.layer4')
    model.backbone.layer1.compile()
    model.supervision.check(model)


class Aside(ToyClassifier):
    """A network with a layer that leads nowhere."""

    def __init__(self):
        super().__init__()
        self.backbone.aside = nn.Conv2d(3, 4, 3)

    def extract_feat(self, inputs):
        self.backbone.aside(inputs)
        hidden = self.backbone.deep(self.backbone.conv(inputs))
        return (hidden.mean((2, 3)),)


def first_step(network, path, **options):
    part = Supervision(supervision(path, tap='there', **options), network)
    inputs, batch = faces(4, size=8)
    return part(network, inputs, batch)


def test_a_tap_beside_the_way_to_the_logits_is_named_at_the_first_step():
    first_step(Aside(), 'backbone.conv')
    with pytest.raises(ValueError, match=r'the tap "there" \(backbone.aside\) does not lead to the logits'):
        first_step(Aside(), 'backbone.aside')


def test_a_tap_that_is_no_map_is_named():
    with pytest.raises(ValueError, match=r'the tap "there" \(head\) gives \(2, 3\), no map'):
        first_step(ToyClassifier(), 'head')


def test_a_frozen_network_is_named():
    network = ToyClassifier()
    network.backbone.requires_grad_(False)
    with pytest.raises(ValueError, match=r'the tap "there" \(backbone.conv\) carries no gradient'):
        first_step(network, 'backbone.conv')


# --- backbones that are no convolutional networks ---


class Held(Part):
    """A convolution, whose map is held in one way or another, and a head that sees the mean of its cells."""

    def __init__(self, held: str):
        super().__init__()
        torch.manual_seed(0)
        self.held, self.conv, self.after = held, nn.Conv2d(3, 6, 3, 16, 1), nn.Identity()
        self.extra = nn.Parameter(torch.zeros(1, 1, 6))

    def forward(self, images):
        maps = self.conv(images)
        tokens = maps.flatten(2).transpose(1, 2)
        held = {
            'NCHW': maps,
            'NHWC': maps.permute(0, 2, 3, 1),
            'tokens': torch.cat([self.extra.expand(len(images), -1, -1), tokens], 1),
            'tokens and size': (tokens, tuple(maps.shape[2:])),
        }[self.held]
        held = self.after(held)
        values = held[0] if isinstance(held, tuple) else held
        cells = {'NCHW': (2, 3), 'NHWC': (1, 2)}.get(self.held, 1)
        return (values[:, int(self.held == 'tokens') :].square().mean(cells),)


def held(how):
    return classifier(supervision('backbone.after', tap='there'), size=64, backbone=Held(how), neck=None,
                      head=dict(type='LinearClsHead', num_classes=3, in_channels=6))  # fmt: skip


@pytest.mark.parametrize('how', ['NHWC', 'tokens', 'tokens and size'])
def test_however_a_map_is_held_its_attribution_is_the_same_map(how):
    inputs, batch = faces(4, size=64)
    expected, feature = published(held('NCHW'), inputs, batch)
    seen, same = published(held(how), inputs, batch)
    assert seen.shape == (4, 6, 4, 4)
    assert_close(seen, expected)
    assert_close(same, feature)
    assert seen.abs().max() > 0
    model = held(how)
    total(model.loss(inputs, batch)).backward()
    assert model.backbone.conv.weight.grad.abs().max() > 0


class Attending(nn.Module):
    """Two blocks of attention over a class token and cells; the head sees the class token."""

    def __init__(self):
        super().__init__()
        self.conv, self.token = nn.Conv2d(3, 8, 16, 16), nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, images):
        tokens = self.conv(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(images), -1, -1), tokens], 1)
        for block in self.blocks:
            x = block(x)
        return (x[:, 0],)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, dim=-1)
        return x + nn.functional.scaled_dot_product_attention(q, k, v).squeeze(1)


def attending(path):
    return classifier(supervision(path, tap='there'), size=64, backbone=Attending(), neck=None,
                      head=dict(type='LinearClsHead', num_classes=3, in_channels=8))  # fmt: skip


def test_cells_that_no_score_sees_are_refused_with_the_tap_before():
    said = (
        r'^the tap "there" \(backbone.blocks.1\) does not lead to the logits: the cells of its map have no part in '
        r'them: set model.supervision.pal.taps.there=backbone.blocks.0$'
    )
    with pytest.raises(ValueError, match=said):
        attending('backbone.blocks.1')


def test_attention_behind_the_tap_is_differentiated_twice():
    model = attending('backbone.blocks.0')
    model.loss(*faces(4, size=64))
    seen = model.supervision.methods['pal']['losses']['keep'].seen
    assert seen.shape == (4, 8, 4, 4)
    slope = torch.autograd.grad(seen.square().sum(), model.backbone.blocks[1].qkv.weight)[0]
    assert slope.abs().max() > 0
    assert model.supervision.methods['pal']['branches']['gradient'].behind.attention


class Disordered(nn.Module):
    """Its modules are not defined in the order in which they run, as in ConvNeXt."""

    def __init__(self):
        super().__init__()
        self.norm = nn.SyncBatchNorm(4)
        self.last = nn.Conv2d(4, 4, 3, 1, 1)
        self.first = nn.Conv2d(3, 4, 3, 16, 1)
        self.before = nn.SyncBatchNorm(4)

    def forward(self, images):
        return (self.last(self.norm(self.first(self.before(torch.cat([images, images[:, :1]], 1))[:, :3]))),)


def test_what_counts_as_behind_is_what_runs_later():
    def disordered(path):
        return classifier(supervision(path, tap='there'), size=64, backbone=Disordered(),
                          head=dict(type='LinearClsHead', num_classes=3, in_channels=4))  # fmt: skip

    with pytest.raises(ValueError, match='backbone.norm is a SyncBatchNorm'):
        disordered('backbone.first')
    disordered('backbone.norm')
    disordered('backbone.last')


class Hard(nn.Module):
    """Behind one convolution a function that torch differentiates once only."""

    def __init__(self):
        super().__init__()
        self.conv, self.hard, self.pool = nn.Conv2d(3, 4, 3, 16, 1), nn.Hardsigmoid(), nn.MaxPool2d(2)

    def forward(self, images):
        return (self.pool(self.hard(self.conv(images))),)


def hard(path):
    return classifier(supervision(path, tap='there'), size=64, backbone=Hard(),
                      head=dict(type='LinearClsHead', num_classes=3, in_channels=4))  # fmt: skip


def test_what_cannot_be_differentiated_twice_is_refused_with_a_tap_that_can():
    said = r'\(backbone.conv\) cannot be differentiated twice \(.*hardsigmoid.*\): set .*taps.there=backbone.pool$'
    with pytest.raises(ValueError, match=said):
        hard('backbone.conv')
    total(hard('backbone.pool').loss(*faces(4, size=64))).backward()
