"""What a backbone runs behind a stage, copied from a trial run."""

import pytest
import torch
from tiny import Alone, classifier, lanet
from torch import nn
from torch.testing import assert_close

from mmfer.models.probing.replay import Calls
from mmfer.models.supervision.branches import LandmarkBranch
from mmfer.models.supervision.trunk import NoTrunk, find_trunk, workable_stages

EXACT = dict(rtol=0, atol=0)


def conv(inputs, outputs, stride=2):
    return nn.Conv2d(inputs, outputs, 3, stride, 1)


class Plain(nn.Module):
    """Four stages with norms between and a side branch, in lists that do not run as such."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 4)
        self.stages = nn.ModuleList([conv(4, 8), conv(8, 12), conv(12, 16)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(8), nn.BatchNorm2d(12)])
        self.side = conv(8, 5)

    def forward(self, images):
        x = self.stem(images)
        for norm, stage in zip(self.norms, self.stages, strict=True):
            x = stage(norm(x))
            if stage is self.stages[0]:
                self.side(x)
        return (x,)


class Sized(Plain):
    """Its stages are told the size of their map, as it was given or (`anew`) counted."""

    def __init__(self, anew=False):
        super().__init__()
        self.anew = anew
        self.embed, self.merge = Embed(), nn.ModuleList([Merge(4, 8), Merge(8, 12)])
        self.blocks = nn.ModuleList([Block(4), Block(8), Block(12)])

    def forward(self, images):
        x, size = self.embed(images)
        for number, block in enumerate(self.blocks):
            x, size = block(x, size, twice=False)
            if number < 2:
                x, size = self.merge[number](x, (int(size[0]), int(size[1])) if self.anew else size)
        return (x.transpose(1, 2).unflatten(2, size),)


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv(3, 4, stride=4)

    def forward(self, images):
        maps = self.conv(images)
        return maps.flatten(2).transpose(1, 2), tuple(maps.shape[2:])


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x, size, twice=True):
        assert x.size(1) == size[0] * size[1]
        return (2 if twice else 1) * self.fc(x), size


class Merge(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = conv(inputs, outputs)

    def forward(self, x, size):
        maps = self.conv(x[:, : size[0] * size[1]].transpose(1, 2).unflatten(2, size))
        return maps.flatten(2).transpose(1, 2), tuple(maps.shape[2:])


class Made(Plain):
    """Something is made of a stage's output that is no module's."""

    def forward(self, images):
        x = self.stages[0](self.stem(images)) * 2
        return (self.stages[2](self.stages[1](x)),)


class Overwriting(Plain):
    """A stage begins by writing into what it is given."""

    def __init__(self):
        super().__init__()
        self.stages[1] = nn.Sequential(nn.ReLU(inplace=True), conv(8, 12))

    def forward(self, images):
        x = self.stem(images)
        for stage in self.stages:
            x = stage(x)
        return (x,)


def around(backbone, size=64):
    model = nn.Module()
    model.backbone = backbone
    model.data_preprocessor = nn.Module()
    model.data_preprocessor.size = size
    return model


def run_behind(backbone, shared, trunk, images):
    """What the copies give for the shared stage's output, and the backbone at the end."""
    kept = []
    handle = backbone.get_submodule(shared).register_forward_hook(lambda _m, _i, output: kept.append(output))
    backbone.eval()
    (expected,) = backbone(images)
    handle.remove()
    x = kept[0]
    for module in trunk.modules:
        x = module.eval()(x)
    return x, expected


def test_what_stands_between_two_stages_is_copied_and_what_stands_aside_is_not():
    backbone = Plain()
    trunk = find_trunk(around(backbone), 'stages.0')
    assert trunk.paths == [('norms.1', 'stages.1', 'norms.2'), ('stages.2',)]
    assert trunk.widths == [8, 12, 16]
    x, expected = run_behind(backbone, 'stages.0', trunk, torch.randn(2, 3, 96, 32))
    assert_close(x, expected, **EXACT)
    named = find_trunk(around(backbone), 'stem', ['stages.2'])
    assert named.paths == [('norms.0', 'stages.0', 'norms.1', 'stages.1', 'norms.2', 'stages.2')]


def test_a_single_module_is_copied_as_it_is():
    trunk = find_trunk(around(Overwriting()), 'stem')
    assert [type(module) for module in trunk.modules] == [nn.Conv2d, nn.Sequential, nn.Conv2d]


@pytest.mark.parametrize('images', [(64, 64), (32, 32), (96, 64)])
def test_sizes_are_handed_on_and_constants_stay(images):
    backbone = Sized()
    trunk = find_trunk(around(backbone), 'blocks.0')
    assert trunk.paths == [('merge.0', 'blocks.1'), ('merge.1', 'blocks.2')]
    assert all(isinstance(module, Calls) for module in trunk.modules)
    (x, size), expected = run_behind(backbone, 'blocks.0', trunk, torch.randn(2, 3, *images))
    assert_close(x.transpose(1, 2).unflatten(2, size), expected, **EXACT)


def test_a_size_that_only_fits_these_images_is_noticed():
    with pytest.raises(NoTrunk, match='blocks.1 (gives something else when it is|cannot be) run again'):
        find_trunk(around(Sized(anew=True)), 'blocks.0')


def test_copies_are_trained_whatever_is_frozen():
    backbone = Plain().requires_grad_(False)
    assert all(p.requires_grad for module in find_trunk(around(backbone), 'stem').modules for p in module.parameters())
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize(
    ('backbone', 'shared', 'own', 'said'),
    [
        (Made, 'stages.0', ['stages.2'], 'stages.1 is not given what stages.0 gives, but something made of it'),
        (Plain, 'stages.1', ['stages.0'], r'stages.0 is none of the modules that follow \(norms.2, stages.2\)'),
        (Plain, 'stages', None, 'stages runs 0 times'),
    ],
)
def test_what_cannot_be_copied_is_named(backbone, shared, own, said):
    with pytest.raises(NoTrunk, match=said):
        find_trunk(around(backbone()), shared, own)


def test_the_branch_names_stages_that_can():
    model = around(Made())
    assert workable_stages(model) == ['stages.1']
    said = (
        r'^LandmarkBranch copies stages.2 behind stages.0, but in Made stages.1 is not given what stages.0 gives, but '
        r'something made of it: share one of backbone.stages.1 and leave own_stages out$'
    )
    with pytest.raises(ValueError, match=said):
        LandmarkBranch(shared_stage='stages.0', own_stages=('stages.2',)).setup(model, Alone())
    branch = LandmarkBranch(shared_stage='stages.1')  # the cure
    branch.setup(model, Alone())
    assert branch(torch.randn(2, 12, 8, 8))['landmark_embedding'].shape == (2, 12)


def test_without_stages_of_its_own_the_branch_takes_the_shared_map():
    branch = LandmarkBranch(shared_stage='stages.2', own_stages=())
    branch.setup(around(Made()), Alone())
    assert branch(torch.randn(2, 16, 4, 4))['heatmaps'].shape == (2, 19, 4, 4)


def test_the_networks_own_map_is_not_written_into():
    backbone = Overwriting()
    branch = LandmarkBranch(shared_stage='stages.0')
    branch.setup(around(backbone), Alone())
    x = torch.randn(2, 8, 16, 16)
    before = x.clone()
    assert branch(x)['heatmaps'].shape == (2, 19, 16, 16)
    assert_close(x, before, **EXACT)
    branch = LandmarkBranch(shared_stage='stem')  # nor its own
    branch.setup(around(backbone), Alone())
    sum(value.sum() for value in branch(torch.randn(2, 4, 32, 32)).values()).backward()


def test_the_tap_is_the_shared_stage():
    method = lanet()
    method['taps'] = dict(shared='backbone.layer2')
    branch = classifier(dict(lanet=method), size=64).supervision.methods['lanet']['branches']['landmark']
    assert (branch.shared_stage, branch.sources) == ('layer2', [('layer3',), ('layer4',)])
    method['branches']['landmark']['shared_stage'] = 'layer1'
    with pytest.raises(
        ValueError, match='shares layer1, but is fed by the tap "shared" of backbone.layer2: leave shared'
    ):
        classifier(dict(lanet=method), size=64)
    method = lanet()
    method['taps'] = dict(shared='neck')
    with pytest.raises(ValueError, match='its tap "shared" is neck: tap one of backbone.relu, backbone.layer1, '):
        classifier(dict(lanet=method), size=64)
