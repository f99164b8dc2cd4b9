"""Loss modules: the method pages' numbers through the modules, and what wires them together."""

import math

import pytest
import torch
from miniature import face_points
from torch.testing import assert_close

from mmfer.functional import heatmap_loss
from mmfer.models import losses
from mmfer.models.losses import CrossEntropyLoss, DistributionKLLoss, LandmarkContrastiveLoss, LandmarkHeatmapLoss
from mmfer.structures.landmark_sets import AFLW19


def double(values):
    return torch.tensor(values, dtype=torch.float64)


# --- gradients ---


def rand(*size):
    return torch.rand(size, dtype=torch.float64)


def landmarks_of(rows):
    """Those of jittered faces, for images of 16 px, and which of them are valid: all but the last."""
    points = double(face_points().tolist()) * 16 - 0.5
    return dict(
        landmarks=points + rand(rows, 1, 2),
        landmark_valid=torch.arange(rows) < rows - 1,
        inputs=torch.zeros(rows, 3, 16, 16),
    )


GRADIENTS = {
    'CrossEntropyLoss': lambda: (
        dict(label_smoothing=0.1),
        dict(logits=rand(4, 3), target=rand(4, 3).softmax(1), weight=rand(4)),
        {},
    ),
    'DistributionKLLoss': lambda: ({}, dict(logits=rand(4, 3), distribution=rand(4, 3).softmax(1)), {}),
    'LandmarkContrastiveLoss': lambda: (
        {},
        {f'{space}_{kind}': rand(3, 4) for kind in ('query', 'key') for space in ('expression', 'landmark')},
        dict(
            expression_queue=rand(5, 4),
            landmark_queue=rand(5, 4),
            pseudo_label=torch.tensor([0, 1, 0]),
            queue_label=torch.tensor([1, 0, 2, 0, -1]),
        ),
    ),
    'LandmarkHeatmapLoss': lambda: ({}, dict(heatmaps=rand(3, 19, 3, 4)), landmarks_of(3)),
    'NeighborhoodSmoothnessLoss': lambda: ({}, dict(neighbour_logits=rand(4, 3)), dict(logits=rand(4, 3))),
    'PrivilegedAttributionLoss': lambda: ({}, dict(attribution=rand(3, 2, 4, 4)), landmarks_of(3)),
    'RankRegularizationLoss': lambda: (
        dict(margin=0.9, learnable_margin=True),
        dict(importance=rand(6, 1)),
        dict(log=lambda **_: None),
    ),
}
"""Options of each loss, what it is differentiated in besides its own parameters, and what else it reads."""


@pytest.mark.parametrize('name', losses.__all__)
def test_every_loss_passes_gradcheck(name):
    options, inputs, others = GRADIENTS[name]()
    loss = getattr(losses, name)(**options).double()
    learned = dict(loss.named_parameters())

    def function(*values):
        given = dict(zip([*learned, *inputs], values, strict=True))
        mine = {key: given.pop(key) for key in learned}
        return torch.func.functional_call(loss, mine, kwargs=given | others)

    leaves = (*learned.values(), *(value.requires_grad_() for value in inputs.values()))
    assert all(gradient.any() for gradient in torch.autograd.grad(function(*leaves), leaves))
    assert torch.autograd.gradcheck(function, leaves)


# --- cross-entropy ---


def test_cross_entropy_is_the_weighted_mean():
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [0.0, 0.0]])
    target, weight = torch.tensor([0, 0, 1]), torch.tensor([1.0, 3.0, 0.0])
    expected = (math.log(2) + 3 * math.log(4 / 3)) / 4
    assert_close(CrossEntropyLoss()(logits, target, weight).item(), expected)
    assert_close(CrossEntropyLoss(loss_weight=0.5)(logits, target, weight * 7).item(), expected / 2)


def test_with_equal_weights_it_is_the_plain_mean():
    logits, target = torch.randn(6, 4), torch.tensor([0, 3, 2, 1, 1, 0])
    assert_close(CrossEntropyLoss()(logits, target, torch.ones(6)), torch.nn.functional.cross_entropy(logits, target))


def test_its_target_may_be_a_distribution_and_may_carry_a_gradient():
    logits = torch.randn(3, 4, requires_grad=True)
    target = torch.rand(3, 4).softmax(1).requires_grad_()
    weight = torch.tensor([0.2, 0.3, 0.5])
    loss = CrossEntropyLoss()(logits, target, weight)
    assert_close(loss, -(weight[:, None] * target * logits.log_softmax(1)).sum())
    loss.backward()
    assert_close(target.grad, -(weight[:, None] * logits.log_softmax(1)).detach())


def test_label_smoothing_spreads_its_share_over_all_classes():
    logits, target = torch.randn(5, 4), torch.tensor([0, 3, 2, 1, 1])
    spread = 0.9 * torch.nn.functional.one_hot(target, 4) + 0.1 / 4
    for form in (target, torch.nn.functional.one_hot(target, 4).float()):
        loss = CrossEntropyLoss(label_smoothing=0.1)(logits, form, torch.ones(5))
        assert_close(loss, -(spread * logits.log_softmax(1)).sum(1).mean())


def test_weights_that_are_all_zero_give_zero():
    """A method may take a whole small batch out."""
    logits = torch.randn(3, 4, requires_grad=True)
    loss = CrossEntropyLoss()(logits, torch.tensor([0, 1, 2]), torch.zeros(3))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize('smoothing', [0.0, 0.1, 0.5])
@pytest.mark.parametrize('form', ['ids', 'one-hot', 'soft'])
@pytest.mark.parametrize('class_weight', [None, [0.5, 3.0, 1.0, 0.0]])
def test_with_class_weights_and_smoothing_it_is_torchs(class_weight, form, smoothing):
    logits = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 1, 0, 2, 2, 1])
    if form != 'ids':
        one_hot = torch.nn.functional.one_hot(target, 4).double()
        target = one_hot if form == 'one-hot' else torch.lerp(one_hot, torch.rand(9, 4).double().softmax(1), 0.4)
    torchs = None if class_weight is None else torch.tensor(class_weight).double()
    expected = torch.nn.functional.cross_entropy(logits, target, torchs, label_smoothing=smoothing)
    loss = CrossEntropyLoss(label_smoothing=smoothing, class_weight=class_weight)
    seen = loss(logits, target, torch.ones(9).double())
    assert_close(seen, expected)
    assert_close(torch.autograd.grad(seen, logits)[0], torch.autograd.grad(expected, logits)[0])
    # A face that weighs 2 is that face twice, one that weighs 0 is left out.
    weight = torch.tensor([1, 2, 0, 1, 1, 1, 2, 0, 1])
    twice = torch.nn.functional.cross_entropy(
        logits.repeat_interleave(weight, 0), target.repeat_interleave(weight, 0), torchs, label_smoothing=smoothing
    )
    assert_close(loss(logits, target, weight.double()), twice)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight.double()), logits)


def test_class_weights_may_be_given_by_name():
    loss = CrossEntropyLoss(class_weight=dict(fear=3, anger=0.5))
    with pytest.raises(ValueError, match=r"^class_weight names 'anger', .* Angry, fear; did you mean 'Angry'\?$"):
        loss.name_classes(('Angry', 'fear'))
    loss.name_classes(('happy', 'fear', 'anger'))
    assert loss.class_weight.tolist() == [1, 3, 0.5]
    assert loss.state_dict() == {}
    logits, target = torch.randn(3, 3), torch.tensor([0, 1, 2])
    expected = torch.nn.functional.cross_entropy(logits, target, torch.tensor([1, 3, 0.5]))
    assert_close(loss(logits, target, torch.ones(3)), expected)


def test_a_batch_of_classes_that_do_not_count_gives_no_loss():
    logits = torch.randn(3, 2, requires_grad=True)
    loss = CrossEntropyLoss(class_weight=[0.0, 1.0])(logits, torch.zeros(3).long(), torch.ones(3))
    loss.backward()
    assert loss == 0
    assert logits.grad.abs().max() == 0


# --- KL ---


def test_kl_of_a_confident_target_from_equal_logits_is_the_method_pages():
    logits, target = double([[2.5, 2.5]]), double([[0.96, 0.04]])
    assert_close(DistributionKLLoss()(logits, target).item(), 0.525203, rtol=0, atol=5.1e-7)
    assert_close(DistributionKLLoss(loss_weight=2.0)(logits, target).item(), 1.050406, rtol=0, atol=1e-6)


def test_kl_goes_from_the_target_to_the_prediction():
    """KL(d || p) has the gradient p - d; the reverse has not."""
    logits, target = torch.randn(1, 4, dtype=torch.float64, requires_grad=True), double([[0.1, 0.2, 0.3, 0.4]])
    DistributionKLLoss()(logits, target).backward()
    assert_close(logits.grad, logits.detach().softmax(1) - target)


# --- contrast ---


def complete(similarities):
    """Unit rows with these products with the first unit vectors, by a last coordinate of their own."""
    rows = double(similarities)
    return torch.cat([rows, (1 - rows.square().sum(1, keepdim=True)).sqrt()], dim=1)


# S_ij = query i . key j, so the columns of the page's tables are the keys.
QUERY = torch.eye(2, 3, dtype=torch.float64)
KEY = complete([[0.9, 0.2], [0.1, 0.8]])
QUEUE = complete([[0.5, 0.4], [0.3, 0.6]])
EMPTY = torch.zeros(2, 3, dtype=torch.float64)


def contrast(pseudo_label, queue_label, **options):
    """Both directions with the page's numbers."""
    loss = LandmarkContrastiveLoss(loss_weight=1.0, **options)
    return loss(QUERY, QUERY, KEY, KEY, QUEUE, QUEUE, torch.tensor(pseudo_label), torch.tensor(queue_label)).item()


def test_contrast_gives_the_method_pages_numbers_in_both_directions():
    assert_close(contrast([3, 3], [3, 5]), 2 * 1.568620, rtol=0, atol=1e-5)
    assert_close(contrast([3, 5], [3, 5]), 2 * 0.010313, rtol=0, atol=1e-5)
    assert contrast([3, 3], [3, 3]) == 0  # no negatives
    assert contrast([3, 3], [-1, -1]) == 0  # nor in an empty queue


def test_each_query_meets_keys_and_queue_of_the_other_space():
    loss = LandmarkContrastiveLoss(loss_weight=1.0)
    labels, queue_labels = torch.tensor([3, 3]), torch.tensor([3, 5])
    # Only expression query x landmark keys and queue carry the page's numbers; the other direction is all orthogonal.
    aside = double([[0, 0, 1], [0, 0, 1]])
    alone = loss(QUERY, EMPTY, aside, KEY, aside, QUEUE, labels, queue_labels)
    orthogonal = math.log(2)  # softplus(0 - 0): one negative, all products 0
    assert_close(alone.item(), 1.568620 + orthogonal, rtol=0, atol=1e-5)
    mirrored = loss(EMPTY, QUERY, KEY, aside, QUEUE, aside, labels, queue_labels)
    assert_close(mirrored.item(), 1.568620 + orthogonal, rtol=0, atol=1e-5)


def test_contrast_is_scaled_by_its_weight_and_temperature():
    loss = LandmarkContrastiveLoss()
    value = loss(QUERY, QUERY, KEY, KEY, QUEUE, QUEUE, torch.tensor([3, 3]), torch.tensor([3, 5])).item()
    assert_close(value, 0.1 * 2 * 1.568620, rtol=0, atol=1e-6)  # la_net.md: 0.1 L_el
    # At t = 1: l_ij = softplus(s_in - s_ij), the negative being the queue's second entry.
    terms = [math.log1p(math.exp(n - s)) for n, row in ((0.3, (0.9, 0.1)), (0.6, (0.2, 0.8))) for s in row]
    assert_close(contrast([3, 3], [3, 5], temperature=1.0), 2 * sum(terms) / 4, rtol=0, atol=1e-9)


@pytest.mark.parametrize('temperature', [0, -0.1])
def test_a_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match=f'temperature must be positive, got {temperature}'):
        LandmarkContrastiveLoss(temperature=temperature)


# --- heatmaps ---


def points_at(x, y, rows=1):
    return torch.tensor([x, y]).expand(rows, 68, 2).clone()


def constant(value, rows=1, size=2):
    return torch.full((rows, 19, size, size), value)


def test_off_the_map_the_target_is_zero_and_weighs_one():
    """The AdaptiveWing numbers of the method page against a target of 0."""
    loss, valid, inputs = LandmarkHeatmapLoss(), torch.ones(1).bool(), torch.zeros(1, 3, 8, 8)
    for value, expected in ((0.2, 0.468813), (0.5, 2.935235), (1.0, 8.495946)):
        seen = loss(constant(value), points_at(-40.0, 3.0), valid, inputs)
        assert_close(seen.item(), expected, rtol=0, atol=1e-5)


def test_a_cell_with_a_landmark_weighs_ten():
    """The numbers against a target of 1: a map of one cell, the landmark in its middle."""
    loss, valid, inputs = LandmarkHeatmapLoss(), torch.ones(1).bool(), torch.zeros(1, 3, 4, 4)
    for value, expected in ((0.7, 3.301746), (0.0, 10.259383)):
        seen = loss(constant(value, size=1), points_at(1.5, 1.5), valid, inputs)
        assert_close(seen.item(), 10 * expected, rtol=0, atol=1e-4)
    lighter = LandmarkHeatmapLoss(foreground_weight=2.0, loss_weight=0.5)
    assert_close(lighter(constant(0.0, size=1), points_at(1.5, 1.5), valid, inputs).item(), 10.259383)


def test_heatmaps_drawn_at_the_19_points_have_no_loss():
    size, image = (12, 14), (48, 56)  # 4 pixels a cell
    landmarks = torch.from_numpy(face_points())[None] * torch.tensor([image[1], image[0]]) - 0.5
    heatmaps = torch.zeros(1, 19, *size)
    for channel, members in enumerate(AFLW19):
        x, y = ((landmarks[0, list(members)].mean(0) - 1.5) / 4).tolist()
        for row in range(size[0]):
            for column in range(size[1]):
                heatmaps[0, channel, row, column] = math.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 1.5**2))
    loss, valid, inputs = LandmarkHeatmapLoss(), torch.ones(1).bool(), torch.zeros(1, 3, *image)
    assert loss(heatmaps, landmarks, valid, inputs).item() < 1e-8
    assert loss(heatmaps.roll(1, 1), landmarks, valid, inputs).item() > 1
    assert loss(heatmaps, landmarks + 4, valid, inputs).item() > 1


def test_faces_without_landmarks_are_left_out_of_the_mean():
    loss, inputs = LandmarkHeatmapLoss(), torch.zeros(3, 3, 8, 8)
    landmarks = torch.cat([points_at(2.0, 3.0), points_at(math.nan, math.nan), points_at(5.0, 5.0)])
    heatmaps = torch.rand(3, 19, 2, 2, requires_grad=True)
    valid = torch.tensor([True, False, True])
    seen = loss(heatmaps, landmarks, valid, inputs)
    one = torch.ones(1).bool()
    alone = [loss(heatmaps[i : i + 1], landmarks[i : i + 1], one, inputs[:1]) for i in (0, 2)]
    assert_close(seen, sum(alone) / 2)
    (gradient,) = torch.autograd.grad(seen, heatmaps)
    assert torch.isfinite(gradient).all()
    assert gradient[1].abs().max() == 0
    assert gradient[0].abs().max() > 0
    nobody = loss(heatmaps, landmarks, torch.zeros(3).bool(), inputs)
    nobody.backward()
    assert nobody.item() == 0
    assert heatmaps.grad.abs().max() == 0


@pytest.mark.parametrize('missing', [math.nan, math.inf])
def test_a_landmark_that_is_missing_has_no_peak(missing):
    """Point 30 stands alone in the set, 37 is one of four: both maps are empty, and the other 17 are as before."""
    loss = LandmarkHeatmapLoss()
    landmarks = torch.from_numpy(face_points())[None] * 32
    whole = loss.target(landmarks, (32, 32), (8, 8))
    holed = landmarks.clone()
    holed[0, 30], holed[0, 37, 1] = missing, missing
    seen = loss.target(holed, (32, 32), (8, 8))
    lost = [AFLW19.index((30,)), AFLW19.index((37, 38, 40, 41))]
    kept = [i for i in range(19) if i not in lost]
    assert whole.amax((2, 3)).min() > 0.8
    assert seen[0, lost].abs().max() == 0
    assert_close(seen[0, kept], whole[0, kept], rtol=0, atol=0)
    value = loss(torch.zeros(1, 19, 8, 8), holed, torch.ones(1).bool(), torch.zeros(1, 3, 32, 32))
    assert_close(value, heatmap_loss(torch.zeros(1, 19, 8, 8), seen)[0])


def test_tails_are_drawn_on_request():
    points = points_at(-2.5, 1.5)  # 4 px a cell: one cell to the left of the first one's centre
    assert LandmarkHeatmapLoss().target(points, (32, 32), (8, 8)).max() == 0
    tail = LandmarkHeatmapLoss(tails=True).target(points, (32, 32), (8, 8))
    assert_close(tail[0, :, 0, 0], torch.full((19,), 0.800737), rtol=0, atol=1e-5)


def test_half_precision_heatmaps_have_a_loss_in_full():
    inputs, valid = torch.zeros(1, 3, 8, 8), torch.ones(1).bool()
    heatmaps = torch.rand(1, 19, 2, 2).bfloat16()
    seen = LandmarkHeatmapLoss()(heatmaps, points_at(2.0, 3.0), valid, inputs)
    assert seen.dtype == torch.float32
    assert_close(seen, LandmarkHeatmapLoss()(heatmaps.float(), points_at(2.0, 3.0), valid, inputs))


def test_it_takes_no_place_in_a_checkpoint():
    assert not LandmarkHeatmapLoss().state_dict()


@pytest.mark.parametrize(('points', 'number'), [('aflw19', 19), ('all', 68), ('no_jaw', 51)])
def test_the_branch_must_draw_as_many_points(points, number):
    loss, inputs = LandmarkHeatmapLoss(points=points), torch.zeros(1, 3, 8, 8)
    assert loss(torch.zeros(1, number, 2, 2), points_at(2.0, 3.0), torch.ones(1).bool(), inputs).item() > 0
    with pytest.raises(ValueError, match=f'draws {number} points .{points}., the branch 5; set num_landmarks={number}'):
        loss(torch.zeros(1, 5, 2, 2), points_at(2.0, 3.0), torch.ones(1).bool(), inputs)


def test_landmarks_of_another_standard_are_refused():
    with pytest.raises(ValueError, match='"aflw19" is defined on 68 points, got 5'):
        LandmarkHeatmapLoss()(constant(0.0), torch.zeros(1, 5, 2), torch.ones(1).bool(), torch.zeros(1, 3, 8, 8))
