"""ARM against the numbers of its method page and against plain loops; the part's own source was not looked at."""

import itertools

import pytest
import torch
from tiny import CE, faces, network, total
from torch import nn
from torch.testing import assert_close

from mmfer.models.classifiers import FERClassifier
from mmfer.models.necks import ARM

COVERAGE = [1, 2, 3, *[4] * 8, 3, 2, 1]
"""Windows of 32 at stride 8 that see each of the 14 blocks of 8 pixels of a line of 112."""


def run(neck, x):
    """The vector behind the neck."""
    y = neck((x,))
    return y[-1] if isinstance(y, tuple) else y


def kernel_of(neck) -> nn.Parameter:
    """The shared convolution's weight: the only one of four dimensions."""
    (kernel,) = (parameter for parameter in neck.parameters() if parameter.dim() == 4)
    return kernel


def share_of_generic(neck) -> nn.Parameter:
    """`a`: the only single number."""
    (a,) = (parameter for parameter in neck.parameters() if parameter.numel() == 1)
    return a


def with_kernel(neck, kernel):
    with torch.no_grad():
        kernel_of(neck).copy_(torch.as_tensor(kernel, dtype=torch.float64).expand_as(kernel_of(neck)))
    return neck


def arranged(x, upscale):
    """out[c, r h + i, r w + j] = in[r r c + r i + j, h, w], one number at a time."""
    rows, channels, height, width = x.shape
    out = torch.empty(rows, channels // upscale**2, height * upscale, width * upscale, dtype=x.dtype)
    for n, c, h, w, i, j in itertools.product(
        range(rows), range(out.size(1)), range(height), range(width), range(upscale), range(upscale)
    ):
        out[n, c, upscale * h + i, upscale * w + j] = x[n, upscale**2 * c + upscale * i + j, h, w]
    return out


def windows(maps, kernel, stride):
    """The shared convolution without padding, window by window."""
    size = kernel.size(0)
    places = range(0, maps.size(2) - size + 1, stride)
    rows = [
        torch.stack([(maps[:, :, y : y + size, x : x + size] * kernel).sum((2, 3)) for x in places], 2) for y in places
    ]
    return torch.stack(rows, 2)


def small(generic='none', **options):
    """[N, 8, 3, 3] to two maps of 6 x 6, and those with a 4 x 4 kernel at stride 2 to 2 x 2."""
    options = dict(in_channels=8, map_size=3, upscale=2, kernel_size=4, stride=2, norm_cfg=None) | options
    return ARM(generic=generic, **options).double()


# --- arrangement and de-albino ---


def test_arrangement_of_the_numbers_0_to_31():
    neck = ARM(in_channels=8, map_size=2, upscale=2, kernel_size=1, stride=1, generic='none', norm_cfg=None).double()
    with_kernel(neck, 1)
    x = torch.arange(32, dtype=torch.float64).view(1, 8, 2, 2)
    # Channel 0 begins with [0, 4, 1, 5] and [8, 12, 9, 13], channel 1 is 16 more: their mean is 8 more.
    page = torch.tensor([[0, 4, 1, 5], [8, 12, 9, 13], [2, 6, 3, 7], [10, 14, 11, 15]], dtype=torch.float64)
    assert_close(arranged(x, 2)[0, 0], page, rtol=0, atol=0)
    assert_close(run(neck, x).view(4, 4), page + 8, rtol=0, atol=1e-12)


def test_channel_300_of_cell_3_5_is_pixel_50_92_of_the_second_map():
    x = torch.zeros(1, 512, 7, 7, dtype=torch.float64)
    x[0, 300, 3, 5] = 1
    neck, kernel = ARM(generic='none', norm_cfg=None).double(), torch.randn(32, 32, dtype=torch.float64)
    with_kernel(neck, kernel)
    expected = torch.zeros(11, 11, dtype=torch.float64)
    for row, column in itertools.product(range(11), range(11)):
        y, x_ = 50 - 8 * row, 92 - 8 * column
        if 0 <= y < 32 and 0 <= x_ < 32:
            expected[row, column] = kernel[y, x_] / 2  # the mean with the first map, which is empty
    assert (expected != 0).sum() == 12  # 4 rows; 3 columns, as the windows that would begin behind 80 are not there
    assert_close(run(neck, x).view(11, 11), expected, rtol=0, atol=1e-12)


def test_cells_are_covered_by_as_many_windows_as_the_page_says():
    neck = with_kernel(ARM(generic='none', norm_cfg=None).double(), 1)
    x = torch.randn(1, 512, 7, 7, dtype=torch.float64, requires_grad=True)
    run(neck, x).sum().backward()
    line = torch.tensor(COVERAGE, dtype=torch.float64).repeat_interleave(8)
    assert len(line) == 112
    covered = torch.nn.functional.pixel_shuffle(x.grad, 16)[0]
    assert_close(covered, torch.outer(line, line).expand(2, 112, 112) / 2, rtol=0, atol=1e-9)


def test_the_published_module_has_121_outputs_and_one_kernel_of_32_without_a_bias():
    neck = ARM()
    assert neck.out_channels == 121
    assert kernel_of(neck).shape == (1, 1, 32, 32)
    assert run(neck, torch.randn(2, 512, 7, 7)).shape == (2, 121)
    (norm,) = (module for module in neck.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.num_features == 2
    assert sorted(parameter.numel() for parameter in neck.parameters()) == [1, 2, 2, 1024]
    assert share_of_generic(neck).item() == 1


@pytest.mark.parametrize('generic', ['none', 'batch'])
def test_the_whole_equals_plain_loops(generic):
    x = torch.randn(5, 8, 3, 3, dtype=torch.float64)
    neck = small(generic).train()
    maps = windows(arranged(x, 2), kernel_of(neck).detach()[0, 0], 2)
    unique = maps.mean(1).flatten(1)
    if generic == 'batch':
        with torch.no_grad():
            share_of_generic(neck).fill_(0.3)
        unique = unique + 0.3 * unique.mean(0)
    assert neck.out_channels == 4
    assert_close(run(neck, x), unique, rtol=1e-10, atol=1e-12)


def test_the_norm_stands_between_the_convolution_and_the_mean_over_channels():
    x = torch.randn(5, 8, 3, 3, dtype=torch.float64)
    neck = small(norm_cfg=dict(type='BN')).train()
    (norm,) = (module for module in neck.modules() if isinstance(module, nn.BatchNorm2d))
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, 2.0]))
        norm.bias.copy_(torch.tensor([1.0, -3.0]))
    maps = windows(arranged(x, 2), kernel_of(neck).detach()[0, 0], 2)
    mean, var = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), correction=0, keepdim=True)
    scale, shift = (value.detach().view(1, 2, 1, 1) for value in (norm.weight, norm.bias))
    expected = (scale * (maps - mean) / (var + norm.eps).sqrt() + shift).mean(1).flatten(1)
    assert_close(run(neck, x), expected, rtol=1e-9, atol=1e-9)


def test_gradcheck():
    neck, x = small('batch'), torch.randn(3, 8, 3, 3, dtype=torch.float64, requires_grad=True)
    names, values = zip(*neck.named_parameters(), strict=True)

    def function(x, *values):
        y = torch.func.functional_call(neck, dict(zip(names, values, strict=True)), ((x,),))
        return y[-1] if isinstance(y, tuple) else y

    assert torch.autograd.gradcheck(function, (x, *values))


# --- sharing affinity ---


def face(first: float, second: float):
    """After convolution and norm, the two arranged channels hold these numbers, everywhere."""
    x = torch.empty(1, 8, 2, 2, dtype=torch.float64)
    x[0, :4], x[0, 4:] = first, second
    return x


A, B = face(1, 3), face(5, 7)


def averaging(generic, **options):
    """A 2 x 2 kernel that averages, so that constant channels come through as they are."""
    neck = ARM(in_channels=8, map_size=2, upscale=2, kernel_size=2, stride=2, generic=generic, norm_cfg=None, **options)
    return with_kernel(neck.double(), 0.25)


def values(neck, *batch):
    """One number a face."""
    rows = run(neck, torch.cat(batch))
    assert rows.shape == (len(rows), 4)
    assert_close(rows, rows[:, :1].expand(-1, 4), rtol=0, atol=1e-12)
    return rows[:, 0].tolist()


def test_the_pages_two_faces_give_6_and_10_with_the_batch_and_4_alone():
    neck = averaging('batch')
    assert values(neck.train(), A, B) == [6, 10]
    assert values(neck.train(), A) == [4]


def test_the_released_behaviour_in_testing_depends_on_the_batch():
    neck = averaging('batch').eval()
    assert values(neck, A, B) == [6, 10]
    assert values(neck, A) == [4]


def test_the_released_behaviour_warns_in_testing_and_not_in_training(capsys):
    for generic, warns in (('batch', True), ('ema', False)):
        neck = averaging(generic)
        run(neck.train(), A)
        assert 'WARNING' not in capsys.readouterr().out
        run(neck.eval(), A)
        assert ("generic='batch'" in capsys.readouterr().out) == warns


def test_without_a_generic_part_a_face_is_what_is_unique_to_it():
    for mode in (True, False):
        neck = averaging('none').train(mode)
        assert values(neck, A, B) == [2, 6]


def trained_on(neck, *batches):
    for batch in batches:
        run(neck.train(), batch)
    return neck.eval()


def test_the_average_of_the_pages_faces_gives_6_and_10_to_each_alone_in_any_batch_and_in_any_order():
    neck = trained_on(averaging('ema'), *[torch.cat([A, B])] * 300)
    for batch, expected in (([A], [6]), ([B], [10]), ([A, B], [6, 10]), ([B, A], [10, 6]), ([B, B, A], [10, 10, 6])):
        assert values(neck, *batch) == pytest.approx(expected, abs=1e-9)


def test_a_tenth_of_the_average_is_the_newest_batch():
    for momentum, generic in ((0.1, 5.0), (0.5, 9.0)):
        options = {} if momentum == 0.1 else dict(momentum=momentum)
        neck = trained_on(averaging('ema', **options), *[torch.cat([A, B])] * 300)
        trained_on(neck, torch.cat([A, B]) + 10)  # a mean of 14 after one of 4
        assert values(neck, A) == pytest.approx([2 + generic], abs=1e-9)


def test_testing_moves_no_average_and_the_average_is_in_the_checkpoint():
    neck = trained_on(averaging('ema'), *[torch.cat([A, B])] * 3)
    before = values(neck, A)
    for _ in range(5):
        run(neck, 100 * B)
    assert values(neck, A) == before
    other = averaging('ema').eval()
    assert values(other, A) != before
    other.load_state_dict(neck.state_dict(), strict=True)
    assert values(other, A) == before


@pytest.mark.parametrize('generic', ['ema', 'none'])
@pytest.mark.parametrize('norm_cfg', [None, dict(type='BN')])
def test_a_faces_output_in_testing_does_not_depend_on_its_batch_nor_on_the_order(generic, norm_cfg):
    x = torch.randn(6, 8, 3, 3, dtype=torch.float64)
    neck = trained_on(small(generic, norm_cfg=norm_cfg), *torch.randn(4, 6, 8, 3, 3, dtype=torch.float64))
    whole, order = run(neck, x), torch.randperm(6)
    assert whole.std(0).min() > 1e-3
    assert_close(run(neck, x[order]), whole[order], rtol=1e-12, atol=1e-12)
    for row in range(6):
        assert_close(run(neck, x[row : row + 1])[0], whole[row], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('generic', ['ema', 'none'])
def test_a_classifiers_predictions_do_not_depend_on_the_test_batch(generic):
    model = classifier(generic=generic).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(3):
        inputs, batch = faces(6, size=64, seed=step)
        optimizer.zero_grad()
        losses = model(inputs, batch, mode='loss')
        total(losses).backward()
        missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert missing == []
        optimizer.step()
    model.eval()
    inputs, _ = faces(12, size=64, seed=9)
    order = torch.randperm(12)
    with torch.no_grad():
        model.head.fc.bias -= model(inputs).mean(0)  # who has learnt that little calls all faces alike
    with torch.inference_mode():
        whole = model(inputs)
        labels = predicted(model, inputs)
        assert_close(model(inputs[order]), whole[order], rtol=1e-4, atol=1e-5)
        assert predicted(model, inputs[order]) == [labels[i] for i in order]
        for rows in (1, 5):
            parts = inputs.split(rows)
            assert_close(torch.cat([model(part) for part in parts]), whole, rtol=1e-4, atol=1e-5)
            assert [label for part in parts for label in predicted(model, part)] == labels
    assert whole.std(0).min() > 1e-4
    assert len(set(labels)) > 1


def predicted(model, inputs) -> list[int]:
    return [sample.pred_label.item() for sample in model(inputs, mode='predict')]


def classifier(**options):
    parts = network()
    parts['neck'] = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4) | options
    outputs = ARM(**{k: v for k, v in parts['neck'].items() if k != 'type'}).out_channels
    parts['head'] = dict(parts['head'], in_channels=outputs)
    torch.manual_seed(0)
    return FERClassifier(
        **parts, data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', size=64), supervision=dict(cls=CE)
    )


# --- sizes and ablations ---


@pytest.mark.parametrize(
    ('channels', 'size', 'upscale'),
    [(512, 7, 16), (512, 3, 16), (2048, 7, 16), (512, 4, 16), (64, 2, 4), (512, 6, 8), (512, 14, 8)],
)
def test_kernel_and_stride_follow_from_the_map(channels, size, upscale):
    neck = ARM(in_channels=channels, map_size=size, upscale=upscale)
    y = run(neck.train(), torch.randn(2, channels, size, size))
    assert y.shape == (2, neck.out_channels)
    assert neck.out_channels > 1
    # The windows reach the far border, else the last cells would not be seen at all.
    x = torch.randn(2, channels, size, size, requires_grad=True)
    run(
        with_kernel(ARM(in_channels=channels, map_size=size, upscale=upscale, generic='none', norm_cfg=None), 1), x
    ).sum().backward()
    assert x.grad.abs().min() > 0


@pytest.mark.parametrize(('arrange', 'de_albino', 'affinity'), list(itertools.product([True, False], repeat=3)))
def test_every_ablation_runs_and_knows_its_size(arrange, de_albino, affinity):
    options = dict(in_channels=64, map_size=4, upscale=4, arrange=arrange, de_albino=de_albino, affinity=affinity)
    neck = trained_on(ARM(**options).double(), *torch.randn(3, 4, 64, 4, 4, dtype=torch.float64))
    x = torch.randn(4, 64, 4, 4, dtype=torch.float64)
    whole = run(neck, x)
    assert whole.shape == (4, neck.out_channels)
    assert_close(run(neck, x[1:2])[0], whole[1], rtol=1e-12, atol=1e-12)
    assert bool([p for p in neck.parameters() if p.dim() == 4]) == de_albino
    assert bool([p for p in neck.parameters() if p.dim() == 0 or p.numel() == 1]) == affinity


def test_without_affinity_it_is_generic_none():
    x = torch.randn(4, 8, 3, 3, dtype=torch.float64)
    ours, none = small('ema', affinity=False).train(), small('none').train()
    with_kernel(ours, kernel_of(none).detach()[0, 0])
    assert_close(run(ours, x), run(none, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ('options', 'key'),
    [
        (dict(in_channels=500), 'in_channels'),
        (dict(map_size=2, upscale=2, in_channels=8, kernel_size=9), 'kernel_size'),
        (dict(generic='mean'), 'generic'),
    ],
)
def test_what_does_not_fit_is_refused_at_build(options, key):
    with pytest.raises(ValueError, match=key):
        ARM(**options)


def test_a_map_of_another_size_is_refused_at_the_first_forward():
    with pytest.raises(ValueError, match='map_size'):
        run(ARM(), torch.randn(2, 512, 3, 3))
    with pytest.raises(ValueError, match='in_channels'):
        run(ARM(), torch.randn(2, 256, 7, 7))


def test_a_head_that_expects_another_width_is_refused_at_build():
    parts = network()
    parts['neck'] = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4)
    with pytest.raises(ValueError, match='ARM gives 25 features.*set model.head.in_channels=25'):
        FERClassifier(**parts, supervision=dict(cls=CE))
