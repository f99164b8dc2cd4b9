"""The landmark branch against the pyramid that it never builds."""

import pytest
import torch
import torch.nn.functional as F
from tiny import Alone, classifier, lanet
from torch import nn
from torch.testing import assert_close

from mmfer.models.supervision.branches import LandmarkBranch

EXACT = {'rtol': 1e-10, 'atol': 1e-12}


def make_branch(model=None, **options):
    branch = LandmarkBranch(**options)
    branch.setup(model or classifier(), Alone())
    return branch.double().eval()


def unfolded(branch, x):
    """The feature pyramid as the paper draws it: laterals, x2 upsampling, addition; then the heatmap layer."""
    levels = [x]
    for stage in branch.stages:
        levels.append(stage(levels[-1]))
    pyramid = branch.laterals[-1](levels[-1])
    for level, lateral in zip(levels[-2::-1], list(branch.laterals)[-2::-1], strict=True):
        up = F.interpolate(pyramid, size=level.shape[-2:], mode='bilinear', align_corners=False)
        pyramid = lateral(level) + up
    return pyramid, branch.to_heatmaps(pyramid)


def shared_maps(height, width, rows=2):
    """What the shared stage puts out for images of a size: halved twice, rounded up."""
    for _ in range(2):
        height, width = (height + 1) // 2, (width + 1) // 2
    return torch.randn(rows, 8, height, width, dtype=torch.float64)


@pytest.mark.parametrize('size', [(32, 32), (64, 96), (128, 32)])
def test_the_pooled_pyramid_is_the_sum_of_the_laterals_of_the_pooled_stages(size):
    branch = make_branch()
    x = shared_maps(*size)
    pyramid, _ = unfolded(branch, x)
    assert_close(branch(x)['landmark_embedding'], pyramid.mean((2, 3)), **EXACT)


@pytest.mark.parametrize('size', [(32, 32), (64, 96), (70, 90), (33, 47), (100, 100), (225, 31)])
def test_the_folded_pyramid_gives_the_unfolded_ones_heatmaps_at_any_size(size):
    branch = make_branch(num_landmarks=5)
    x = shared_maps(*size)
    _, heatmaps = unfolded(branch, x)
    published = branch(x)
    assert published['heatmaps'].shape == (2, 5, *x.shape[-2:])
    assert_close(published['heatmaps'], heatmaps, **EXACT)


@pytest.mark.parametrize('size', [(70, 90), (33, 47)])
def test_at_odd_sizes_the_embedding_is_that_sum_still(size):
    branch = make_branch()
    x = shared_maps(*size)
    expected, level = 0, x
    for stage, lateral in zip([nn.Identity(), *branch.stages], branch.laterals, strict=True):
        level = stage(level)
        expected = expected + lateral(level.mean((2, 3), keepdim=True)).flatten(1)
    assert_close(branch(x)['landmark_embedding'], expected, **EXACT)


def test_the_two_ways_have_the_same_gradients():
    branch = make_branch(num_landmarks=3)
    x = shared_maps(64, 32).requires_grad_()
    weights = torch.randn(2, 3, *x.shape[-2:], dtype=torch.float64)
    parameters = [x, *branch.parameters()]

    def gradients(heatmaps, embedding):
        return torch.autograd.grad((heatmaps * weights).sum() + embedding.square().sum(), parameters)

    published = branch(x)
    pyramid, heatmaps = unfolded(branch, x)
    ours = gradients(published['heatmaps'], published['landmark_embedding'])
    for mine, theirs in zip(ours, gradients(heatmaps, pyramid.mean((2, 3))), strict=True):
        assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


def test_sizes_come_from_the_network():
    branch = make_branch()
    assert [lateral.weight.shape for lateral in branch.laterals] == [(8, width, 1, 1) for width in (8, 16, 32, 64)]
    assert branch.to_heatmaps.weight.shape == (19, 8, 1, 1)
    assert not any('bias' in name for name, _ in branch.named_parameters() if not name.startswith('stages.'))
    wide = make_branch(channels=12, num_landmarks=68)
    published = wide(shared_maps(32, 32))
    assert published['landmark_embedding'].shape == (2, 12)
    assert published['heatmaps'].shape == (2, 68, 8, 8)
    assert set(published) == set(LandmarkBranch.publishes)


def test_bottlenecks_are_measured_by_what_they_put_out():
    cfg = dict(
        type='ResNet', depth=50, num_stages=4, out_indices=(3,), style='pytorch', stem_channels=4, base_channels=4
    )
    from mmpretrain.registry import MODELS

    model = nn.Module()
    model.backbone = MODELS.build(cfg)
    branch = make_branch(model)
    assert [lateral.in_channels for lateral in branch.laterals] == [16, 32, 64, 128]
    assert branch.channels == 16


def test_it_may_share_more_of_the_network():
    branch = make_branch(shared_stage='layer2', own_stages=('layer3', 'layer4'))
    assert len(branch.stages) == 2
    x = torch.randn(1, 16, 5, 7, dtype=torch.float64)
    assert_close(branch(x)['heatmaps'], unfolded(branch, x)[1], **EXACT)


def test_building_it_leaves_the_network_as_it_was():
    model = classifier()
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    make_branch(model)
    assert model.backbone.training
    assert model.backbone.layer1[0].bn1.training
    for key, value in model.state_dict().items():
        assert_close(value, before[key], rtol=0, atol=0)


def test_the_copied_stages_are_its_own():
    model = classifier(dict(lanet=lanet()))
    branch = model.supervision.methods['lanet']['branches']['landmark']
    ours = {id(p) for p in branch.parameters()}
    assert not ours & {id(p) for p in model.backbone.parameters()}
    with torch.no_grad():
        model.backbone.layer2[0].conv1.weight.zero_()
    assert branch.stages[0][0].conv1.weight.abs().max() > 0


def test_from_pretrained_weights_both_trunks_start_alike():
    model = classifier()
    branch = make_branch(model).float()
    with torch.no_grad():
        for tensor in model.backbone.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape) * 5)
    branch.initialize(model, pretrained=True)
    for name, stage in zip(('layer2', 'layer3', 'layer4'), branch.stages, strict=True):
        for key, value in getattr(model.backbone, name).state_dict().items():
            assert_close(stage.state_dict()[key], value, rtol=0, atol=0)


def test_from_scratch_the_branch_draws_its_own_weights_as_the_backbone_does():
    model = classifier(dict(lanet=lanet()), channels=16)
    model.init_weights()
    branch = model.supervision.methods['lanet']['branches']['landmark']
    for name, stage in zip(('layer2', 'layer3', 'layer4'), branch.stages, strict=True):
        theirs = dict(getattr(model.backbone, name).named_parameters())
        for key, mine in stage.named_parameters():
            if mine.dim() == 4:
                assert (mine - theirs[key]).abs().max() > 0.01
                assert_close(mine.std(), theirs[key].std(), rtol=0.2, atol=0)
    before = [p.clone() for p in branch.stages.parameters()]
    branch.initialize(model, pretrained=False)
    assert any((p - q).abs().max() > 0.01 for p, q in zip(before, branch.stages.parameters(), strict=True))


def test_a_backbone_without_such_stages_is_named():
    with pytest.raises(
        ValueError,
        match='copies layer2, stage3 behind layer1, but ResNet has no "stage3"; set shared_stage and own_stages',
    ):
        make_branch(own_stages=('layer2', 'stage3'))
    with pytest.raises(ValueError, match='ResNet has no "stem0"'):
        make_branch(shared_stage='stem0')
