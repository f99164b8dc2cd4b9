"""ARM: sizes, what it refuses, its memory, and that a face's prediction is its own."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from mmpretrain.models import ImageClassifier
from tiny import CE, faces, network, total
from torch import nn
from torch.testing import assert_close

from mmfer.apis import export_deployed
from mmfer.models.classifiers import FERClassifier
from mmfer.models.necks import ARM, arm

EXACT = dict(rtol=0, atol=0)


def small(map_size=2, channels=16, upscale=4, **options):
    """4 x 4 arranged pixels a cell, four arranged channels."""
    torch.manual_seed(0)
    return ARM(channels, map_size, upscale, **options)


def maps(rows=5, channels=16, size=(2, 2), seed=0, dtype=torch.float32):
    return torch.randn(rows, channels, *size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_hand(neck, x):
    """The three steps as the paper writes them, one face, channel and window at a time; `unique` [N, h, w]."""
    arranged = F.pixel_shuffle(x, neck.upscale)
    kernel, (down, right), (rows, columns) = neck.de_albino.weight[0, 0], neck.stride, neck.out_size
    out = x.new_zeros(*arranged.shape[:2], rows, columns)
    for p in range(rows):
        for q in range(columns):
            window = arranged[..., p * down : p * down + kernel.size(0), q * right : q * right + kernel.size(1)]
            out[..., p, q] = (window * kernel).sum((2, 3))
    if isinstance(neck.norm, nn.BatchNorm2d):
        mean, var = out.mean((0, 2, 3), keepdim=True), out.var((0, 2, 3), keepdim=True, unbiased=False)
        out = (out - mean) / (var + neck.norm.eps).sqrt()
    return out.mean(1)


# --- sizes ---


@pytest.mark.parametrize(
    ('map_size', 'options', 'kernel', 'stride', 'out'),
    [
        (7, {}, (32, 32), (8, 8), (11, 11)),
        (3, {}, (32, 32), (2, 2), (9, 9)),
        (2, {}, (16, 16), (2, 2), (9, 9)),
        (4, {}, (32, 32), (4, 4), (9, 9)),
        ((7, 3), {}, (32, 32), (8, 2), (11, 9)),
        ([3, 2], {}, (32, 16), (2, 2), (9, 9)),
        (7, dict(upscale=8), (16, 16), (4, 4), (11, 11)),
        (7, dict(kernel_size=16), (16, 16), (8, 8), (13, 13)),  # 96 / 10: 8 is nearer than 12
        (7, dict(stride=(8, 16)), (32, 32), (8, 16), (11, 6)),
        (7, dict(kernel_size=112), (112, 112), (1, 1), (1, 1)),
        (7, dict(kernel_size=112, stride=9), (112, 112), (9, 9), (1, 1)),
        (7, dict(arrange=False), (2, 2), (1, 1), (6, 6)),
        (2, dict(arrange=False), (1, 1), (1, 1), (2, 2)),
        (7, dict(generic='none', norm_cfg=None), (32, 32), (8, 8), (11, 11)),
    ],
)
def test_windows_follow_from_the_map(map_size, options, kernel, stride, out):
    neck = ARM(map_size=map_size, **options)
    assert (neck.de_albino.kernel_size, neck.stride, neck.out_size) == (kernel, stride, out)
    size = (map_size, map_size) if isinstance(map_size, int) else tuple(map_size)
    x = maps(2, 512, size)
    for training in (True, False):
        (features,) = neck.train(training)(x)
        assert features.shape == (2, neck.out_channels) == (2, out[0] * out[1])


def test_of_a_tuple_the_last_map_counts():
    neck = small().eval()
    x = maps()
    assert_close(neck((maps(size=(4, 4)), x)), neck(x), **EXACT)
    assert isinstance(neck(x), tuple)


@pytest.mark.parametrize('size', [(2, 2), (3, 3), (3, 2), (7, 7)])
@pytest.mark.parametrize('options', [{}, dict(norm_cfg=None), dict(kernel_size=3, stride=1)])
def test_features_and_gradients_are_those_of_the_steps_by_hand(size, options):
    neck, x = small(size, **options).double(), maps(4, size=size, dtype=torch.float64).requires_grad_()
    with torch.no_grad():
        neck.a.fill_(1.7)
    weigh = torch.randn(4, neck.out_channels, dtype=torch.float64)
    unique = by_hand(neck, x)
    expected = (unique + 1.7 * unique.mean(0)).flatten(1)
    given = [x, neck.de_albino.weight]
    wanted = torch.autograd.grad((expected * weigh).sum(), given)
    (features,) = neck(x)
    assert_close(features, expected)
    for gradient, other in zip(torch.autograd.grad((features * weigh).sum(), [*given, neck.a]), wanted, strict=False):
        assert_close(gradient, other)
    # In testing the convolution is one; in training it is a matrix product.
    arranged = F.pixel_shuffle(x, neck.upscale)
    assert_close(neck.eval()._pool(arranged), neck.train()._pool(arranged))


def test_a_matrix_that_would_be_too_large_stays_a_convolution(monkeypatch):
    neck, x = small(3).train(), maps(size=(3, 3))
    (features,) = neck(x)
    monkeypatch.setattr(arm, 'MATRIX_LIMIT', 12 * 12 * neck.out_channels - 1)
    monkeypatch.setattr(F, 'linear', None)
    assert_close(neck(x)[0], features, rtol=1e-5, atol=1e-5)


def test_half_precision_maps_give_float32_means():
    neck, x = small(), maps(300).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        (features,) = neck(x)
    assert features.dtype == neck.generic.dtype == torch.float32
    assert_close(features, neck(x.float())[0], rtol=0, atol=0.1)


# --- ablations ---


def test_without_arrangement_every_channel_is_a_map_of_its_own():
    neck, x = small(3, arrange=False, norm_cfg=None, generic='none'), maps(size=(3, 3))
    expected = torch.stack([F.conv2d(x[:, [c]], neck.de_albino.weight, stride=1)[:, 0] for c in range(16)]).mean(0)
    assert neck.out_channels == 4
    assert_close(neck(x)[0], expected.flatten(1))


def test_without_de_albino_every_cell_counts_alike():
    neck, x = small(3, de_albino=False, norm_cfg=None, generic='none'), maps(size=(3, 3)).requires_grad_()
    assert neck.out_size == small(3).out_size
    assert not list(neck.parameters())
    assert_close(neck(torch.full_like(x, 3.0))[0], torch.full((5, neck.out_channels), 3.0))
    cover = torch.autograd.grad(neck(x)[0].sum(), x)[0].sum((0, 1))
    assert cover.max() < 1.2 * cover.min()
    convolution = small(3, norm_cfg=None, generic='none')
    nn.init.ones_(convolution.de_albino.weight)
    counted = torch.autograd.grad(convolution(x)[0].sum(), x)[0].sum((0, 1))
    assert counted[1, 1] > 1.5 * counted[0, 1]
    assert counted[0, 1] > 1.5 * counted[0, 0]


def test_without_affinity_there_is_nothing_that_faces_share():
    neck, other, x = small(affinity=False), small(generic='none'), maps()
    assert set(neck.state_dict()) == set(other.state_dict())
    assert not [key for key in neck.state_dict() if key.split('.')[0] in ('a', 'generic', 'num_batches_tracked')]
    assert_close(neck(x)[0], by_hand(neck, x).flatten(1), rtol=1e-5, atol=1e-5)


# --- what faces share ---


def test_the_average_is_of_all_batches_with_weights_that_fall_with_age():
    neck, batches = small(norm_cfg=None, momentum=0.2).double(), [maps(4, seed=s).double() for s in range(6)]
    for count, x in enumerate(batches, 1):
        neck(x)
        weights = torch.tensor([0.8 ** (count - 1 - age) for age in range(count)], dtype=torch.float64)
        means = torch.stack([by_hand(neck, each).mean(0) for each in batches[:count]])
        assert_close(neck.generic, torch.einsum('t,thw->hw', weights / weights.sum(), means))
    assert neck.num_batches_tracked.item() == 6
    assert not neck.generic.requires_grad


def test_only_training_moves_it():
    neck = small()
    neck(maps())
    before = copy.deepcopy(neck.state_dict())
    neck.eval()
    neck(maps(seed=1))
    for key, value in neck.state_dict().items():
        assert_close(value, before[key], **EXACT)


def test_before_the_first_batch_a_face_is_alone():
    neck = small(norm_cfg=None).eval()
    assert_close(neck(maps())[0], by_hand(neck, maps()).flatten(1))


def test_two_runs_of_a_half_are_one_whole(tmp_path):
    """The average continues from a checkpoint."""
    whole, half = small(), small()
    for step in range(4):
        whole(maps(seed=step))
    for step in range(2):
        half(maps(seed=step))
    torch.save(half.state_dict(), tmp_path / 'half.pth')
    resumed = ARM(16, 2, 4)
    load_checkpoint(resumed, str(tmp_path / 'half.pth'), strict=True)
    for step in range(2, 4):
        resumed(maps(seed=step))
    for key, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[key], value, **EXACT)
    assert_close(resumed.eval()(maps(seed=9)), whole.eval()(maps(seed=9)), **EXACT)


def test_ranks_share_sum_and_count(monkeypatch):
    """Three rows here and two there give the mean of five."""
    neck, x = small(norm_cfg=None), maps()
    (expected,) = neck(x)
    there = []
    monkeypatch.setattr(arm, 'sum_over_ranks', lambda sums: there.append(sums) or sums)
    neck(x[3:])
    monkeypatch.setattr(arm, 'sum_over_ranks', lambda sums: sums + there[0])
    assert_close(neck(x[:3])[0], expected[:3])


@pytest.mark.parametrize('generic', ['ema', 'none'])
def test_a_prediction_depends_on_no_other_face(generic):
    neck, x = small(3, generic=generic), maps(12, size=(3, 3))
    neck(x)
    neck.eval()
    (together,) = neck(x)
    order = torch.tensor([5, 0, 11, 3, 7, 1, 9, 2, 10, 4, 8, 6])
    # Where in a batch a row lies moves the last bit of a convolution, no more.
    assert_close(neck(x[order])[0], together[order], rtol=1e-6, atol=1e-6)
    for row in range(12):
        assert_close(neck(x[row : row + 1])[0], together[row : row + 1], rtol=1e-6, atol=1e-6)
        others = torch.cat([x[row : row + 1], 100 * maps(3, size=(3, 3), seed=row)])
        assert_close(neck(others)[0][:1], together[row : row + 1], rtol=1e-6, atol=1e-6)


def test_the_codes_way_depends_on_them_and_says_so_once(monkeypatch):
    neck, x, said = small(generic='batch', norm_cfg=None), maps(), []
    monkeypatch.setattr(arm, 'print_log', lambda text, **options: said.append((text, options)))
    neck(x)
    assert said == []  # training is as with 'ema'
    neck.eval()
    together, alone = neck(x)[0], neck(x[:1])[0]
    assert (together[:1] - alone).abs().max() > 0.01
    unique = by_hand(neck, x)
    assert_close(together, (unique + unique.mean(0)).flatten(1))
    assert_close(alone, 2 * unique[:1].flatten(1))
    ((text, options),) = said
    assert "generic='batch'" in text
    assert 'depends on the other faces' in text
    assert options == dict(logger='current', level=30)
    other = small(generic='ema', norm_cfg=None).eval()
    other.load_state_dict(neck.state_dict())  # one checkpoint, tested either way
    assert_close(other(x)[0], (unique + neck.generic).flatten(1))
    assert neck.generic.any()


def test_the_warning_is_seen(capsys):
    MMLogger.get_instance('arm_of_the_test')  # the current one, writing to what is captured here
    neck = small(generic='batch').eval()
    for _ in range(2):
        neck(maps())
    said = capsys.readouterr()
    assert (said.out + said.err).count('depends on the other faces of its batch') == 1


# --- mistakes ---


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(map_size=1), 'at least 2 x 2 cells, map_size has 1'),
        (dict(map_size=(3, 1)), 'at least 2 x 2 cells, map_size has 1'),
        (dict(in_channels=500), 'groups of upscale \\*\\* 2 = 256 channels, .* in_channels=500 is no multiple'),
        (dict(upscale=0), 'in_channels=512 is no multiple'),
        (dict(stride=7), r'stride=7 .* kernel_size=32 over .* 112 - 32 = 80 .* the nearest that fits is 8'),
        (dict(stride=13), 'the nearest that fits is 10'),
        (dict(stride=(8, 0)), 'stride=0 .* the nearest that fits is 1'),
        (dict(kernel_size=33, stride=8), '112 - 33 = 79 is no multiple of it; the nearest that fits is 1'),
        (dict(kernel_size=113), r'kernel_size=113 does not fit .* = 112 px \(map_size=7\): set one from 1 to 112'),
        (dict(kernel_size=0), 'kernel_size=0 does not fit'),
        (dict(generic='EMA'), "is 'ema', 'batch' or 'none', got 'EMA'"),
        (dict(momentum=0.0), r'must lie in \(0, 1\], got 0.0'),
    ],
)
def test_what_cannot_be_is_refused_when_built(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ARM(**options)


@pytest.mark.parametrize(
    ('size', 'sentence'),
    [
        ((3, 3), 'maps of 7 x 7, this input gives 3 x 3: set model.neck.map_size=3 and model.head.in_channels=81$'),
        ((7, 3), r'gives 7 x 3: set model.neck.map_size=\(7, 3\) and model.head.in_channels=99$'),
        ((1, 1), 'at least 2 x 2 cells, map_size has 1: use larger inputs'),
    ],
)
def test_a_map_of_another_size_is_met_with_the_cure(size, sentence):
    neck = ARM()
    with pytest.raises(ValueError, match=sentence):
        neck(maps(1, 512, size))
    with pytest.raises(ValueError, match='512 channels, the backbone gives 256: set model.neck.in_channels=256'):
        neck(maps(1, 256, (7, 7)))


# --- in a classifier ---


def test_it_trains_and_its_export_loads_strictly_into_a_stock_classifier(tmp_path):
    torch.manual_seed(0)
    cfg = network()
    cfg['neck'] = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4)
    cfg['head']['in_channels'] = 25
    model = FERClassifier(
        **cfg, data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', size=64), supervision=dict(cls=CE)
    ).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(8):
        inputs, batch = faces(6, size=64)
        loss = total(model(inputs, batch, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.8 * history[0]
    assert model.neck.a.item() != 1

    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'epoch_1.pth')
    export_deployed(tmp_path / 'epoch_1.pth', tmp_path / 'deployed.pth')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stock = MODELS.build(dict(type='ImageClassifier', **cfg)).eval()
    assert type(stock) is ImageClassifier
    stock.load_state_dict(torch.load(tmp_path / 'deployed.pth', weights_only=True)['state_dict'], strict=True)
    inputs, _ = faces(5, size=64, seed=3)
    with torch.inference_mode():
        assert_close(stock(inputs), model.eval()(inputs), rtol=1e-5, atol=1e-5)
    assert stock.neck.generic.any()
