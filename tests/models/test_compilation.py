"""What of a network is compiled, and that a step is the same for it."""

import copy
import shutil

import pytest
import torch
from mmengine.model import BaseModule
from test_combinations import METHODS, parts_of, together, train
from tiny import CE, classifier, lanet
from torch import nn
from torch.testing import assert_close

from mmfer.models.compilation import compile_refusal, regions

# torch hides this one of its own, where warnings are no errors.
pytestmark = pytest.mark.filterwarnings('ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning')

LAYERS = [f'backbone.layer{number}' for number in (1, 2, 3, 4)]
BLOCKS = {path: [f'{path}.0', f'{path}.1'] for path in LAYERS}
TWIN = 'supervision.methods.lanet.branches.keys.twin'


@pytest.fixture(autouse=True)
def _forget_compiled_code():
    yield
    torch.compiler.reset()


class Small(BaseModule):
    """A backbone of few operations, each of which takes its time to compile."""

    def __init__(self):
        super().__init__()
        widths = (3, 8, 16, 32, 64)
        for number in (1, 2, 3, 4):
            before, after = widths[number - 1 : number + 1]
            stage = [nn.Conv2d(before, after, 3, 4 if number == 1 else 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
            self.add_module(f'layer{number}', nn.Sequential(*stage))

    def forward(self, x):
        return (self.layer4(self.layer3(self.layer2(self.layer1(x)))),)


def small(*names):
    """The network that the methods need, of few operations."""
    return together(*names, parts=parts_of(names) | dict(backbone=dict(type=Small)))


def steps_of(model, number):
    """What some steps log, in which each draws the same random numbers."""
    torch.manual_seed(0)
    steps = [losses for losses, _ in train(model, number, rate=1e-4)]
    assert len(steps) == number
    return steps


def test_a_plain_network_is_one_region():
    assert list(regions(classifier(dict(cls=CE)))) == ['backbone']


def test_a_tapped_stage_is_compiled_in_pieces():
    found = list(regions(classifier(dict(cls=CE, lanet=lanet()))))
    assert found[:5] == [*BLOCKS[LAYERS[0]], *LAYERS[1:]]
    twins = [name.removeprefix(f'{TWIN}.') for name in found if name.startswith(f'{TWIN}.')]
    assert twins[:5] == found[:5]
    assert [name for name in twins if name.startswith('landmark.')] == [f'landmark.stages.{i}' for i in range(3)]
    assert not any(name.endswith(('.twin', '.landmark', '.keys')) for name in found)


@pytest.mark.parametrize('tap', LAYERS[1:])
def test_what_pal_differentiates_twice_stays_as_it_is(tap):
    pal = copy.deepcopy(METHODS['pal'])
    pal['taps']['stage4'] = tap
    found = list(regions(classifier(dict(cls=CE, pal=pal), size=64)))
    assert found == [*LAYERS[: LAYERS.index(tap)], *BLOCKS[tap]]


def test_an_autoencoder_is_compiled_where_it_is_called():
    path = 'supervision.methods.sna.branches.neighbours.autoencoder'
    model = classifier(dict(cls=CE, sna=copy.deepcopy(METHODS['sna'])))
    assert list(regions(model)) == ['backbone', f'{path}.encoder', f'{path}.decoder']
    assert list(regions(model.get_submodule(path))) == ['encoder', 'decoder']


@pytest.mark.parametrize('names', [('scn', 'pal', 'lanet'), ('arm', 'sna')], ids=' '.join)
def test_a_compiled_step_gives_what_another_gives(names):
    """Twenty steps, each of them with what the ones before have remembered.

    Gradients that meet are added in another order, which is all that differs, and which a high rate would double.
    """
    plain, compiled = small(*names), small(*names)
    for module in regions(compiled).values():
        module.compile(backend='aot_eager')
    ours, theirs = (steps_of(model, 20) for model in (compiled, plain))
    assert {method for method in names if method != 'arm'} <= {name.split('.')[0] for name in theirs[0]}
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine, other, rtol=1e-5, atol=1e-6)
    assert_close(compiled.state_dict(), plain.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(shutil.which('g++') is None, reason='no compiler, by which torch makes kernels for CPUs')
def test_kernels_of_inductor_give_what_another_step_gives():
    plain, compiled = small(), small()
    assert list(regions(compiled)) == ['backbone']
    compiled.backbone.compile(options={'compile_threads': 1})  # a pool of processes would take longer to begin
    ours, theirs = (steps_of(model, 3) for model in (compiled, plain))
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_a_copy_of_a_compiled_module_is_an_uncompiled_one_with_weights_of_its_own():
    model, images = small(), torch.randn(2, 3, 64, 64)
    before = model.backbone(images)[0]
    model.backbone.compile(backend='eager')
    twin = copy.deepcopy(model)
    assert twin.backbone._compiled_call_impl is None
    nn.init.zeros_(twin.backbone.layer1[0].weight)
    assert not torch.allclose(twin.backbone(images)[0], before)


class Sharded(nn.Module):
    """A wrapper that is not DistributedDataParallel."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_what_cannot_be_compiled_says_why():
    assert compile_refusal(classifier(dict(cls=CE))) is None
    assert compile_refusal(nn.Sequential(nn.Linear(2, 2))) == (
        'compile finds nothing to compile in Sequential: no module with two layers is left behind taps, and what is '
        'differentiated twice: train without it, or tap a later stage'
    )
    assert compile_refusal(Sharded(classifier(dict(cls=CE)))) == (
        'compile goes with DistributedDataParallel, not with Sharded, which takes modules apart: train without it, or '
        'without that model_wrapper_cfg'
    )
    model = classifier(dict(cls=CE))
    model.backbone.layer1[0].with_cp = True
    assert compile_refusal(model) == (
        'compile would undo that backbone.layer1.0 recomputes its activations: train without it, or leave with_cp and '
        'activation_checkpointing off'
    )
