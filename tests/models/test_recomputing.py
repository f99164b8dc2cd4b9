"""Blocks that compute again what they need: bit for bit what a plain run gives, with less memory."""

import copy

import pytest
import torch
from mmpretrain.models import ResNet, VisionTransformer
from mmpretrain.models.utils import InvertedResidual
from torch import nn
from torch.profiler import ProfilerActivity, profile

from mmfer.models.supervision.recomputing import run_lean


class Overwrites(nn.Module):
    """Changes what it is given, as an activation in place at the beginning of a block does."""

    def __init__(self, activation):
        super().__init__()
        self.activation, self.convolution = activation, nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x):
        return self.convolution(self.activation(x))


class Attends(nn.Module):
    """An encoder layer."""

    def __init__(self):
        super().__init__()
        self.layer = VisionTransformer('deit-tiny', img_size=32, patch_size=8, drop_path_rate=0.5).layers[-1]

    def forward(self, x):
        return self.layer(x.flatten(2).transpose(1, 2).repeat(1, 1, 12))


def squeeze():
    """Convolutions with an activation in place right behind them."""
    return InvertedResidual(16, 16, 800, se_cfg=dict(channels=800, ratio=1))


BLOCKS = {
    'residual': lambda: ResNet(18, base_channels=16, stem_channels=16).layer2,
    'bottleneck': lambda: ResNet(50, base_channels=4, stem_channels=16).layer1,
    'convolution, ReLU': lambda: nn.Sequential(nn.Conv2d(16, 16, 9, padding=4), nn.ReLU(inplace=True)),
    'in one block': lambda: nn.ModuleList(
        [nn.Sequential(nn.Conv2d(16, 16, 9), nn.SiLU(inplace=True), nn.Conv2d(16, 8, 9))]
    ),
    'squeeze and excite': squeeze,
    'overwrites what it is given': lambda: nn.Sequential(nn.BatchNorm2d(16), Overwrites(nn.SiLU(inplace=True))),
    'overwrites the image': lambda: Overwrites(nn.Hardswish(inplace=True)),
    'dropout': lambda: nn.Sequential(Overwrites(nn.Dropout(0.5)), Overwrites(nn.Dropout2d(0.5, inplace=True))),
    'attention': Attends,
    'no norm, dear': lambda: nn.Sequential(nn.Conv2d(16, 64, 9), nn.GroupNorm(8, 64), nn.GELU(), nn.Conv2d(64, 8, 9)),
}


def stepped(module, run, seed=0, rounds=1):
    """Outputs, gradients and buffers of two training steps."""
    module.train()
    seen = []
    for step in range(2):
        torch.manual_seed(seed + step)
        x = torch.randn(4, 16, 24, 24).requires_grad_()
        output = run(module, x * 1)
        for _ in range(rounds):
            output.square().mean().backward(retain_graph=rounds > 1)
        seen += [output, x.grad, torch.rand(1), *(p.grad.clone() for p in module.parameters() if p.grad is not None)]
    return [*seen, *module.buffers()]


@pytest.mark.parametrize('rounds', [1, 2])
@pytest.mark.parametrize('kind', BLOCKS)
def test_values_gradients_statistics_and_draws_are_the_same_to_the_bit(kind, rounds):
    torch.manual_seed(7)
    block = BLOCKS[kind]()
    if isinstance(block, nn.ModuleList):  # a sequence that is one piece
        (inner,) = block
        block = type('Whole', (nn.Module,), {'forward': lambda self, x: self.inner(x)})()
        block.inner = inner
    plain = stepped(copy.deepcopy(block), lambda module, x: module(x), rounds=rounds)
    lean = stepped(block, run_lean, rounds=rounds)
    assert len(plain) == len(lean) > 5
    assert all(map(torch.equal, plain, lean))


def held(run):
    """Bytes that a forward pass leaves behind for the backward pass."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        output = run()
    assert output.requires_grad
    events = profiled.profiler.kineto_results.events()
    return sum(event.nbytes() for event in events if event.name() == '[memory]')


def test_it_holds_little_more_than_half():
    block = ResNet(18, base_channels=32, stem_channels=32).layer2.train()
    x = torch.randn(16, 32, 24, 24, requires_grad=True)
    assert held(lambda: run_lean(block, x)) < 0.62 * held(lambda: block(x))


def test_without_a_graph_it_is_the_plain_call():
    block = ResNet(18, base_channels=8, stem_channels=8).layer2.eval()
    x = torch.randn(2, 8, 8, 8)
    with torch.no_grad():
        assert torch.equal(run_lean(block, x), block(x))


def test_hooks_run_once_a_step_and_nothing_stays_behind():
    block, calls = ResNet(18, base_channels=8, stem_channels=8).layer2, []
    for module in (block, block[0], block[1]):
        module.register_forward_hook(lambda module, *_: calls.append(module))
    run_lean(block, torch.randn(2, 8, 8, 8)).sum().backward()
    assert calls == [block[0], block[1], block]
    assert not any('forward' in vars(module) for module in block.modules())


@pytest.mark.filterwarnings('ignore:The .grad attribute of a Tensor that is not a leaf')
def test_compiled_blocks_are_left_to_torch(monkeypatch):
    block = ResNet(18, base_channels=8, stem_channels=8).layer2
    x = torch.randn(2, 8, 8, 8)
    plain = block(x)
    block[1].compile(backend='eager')
    monkeypatch.setattr('mmfer.models.supervision.recomputing.checkpoint', None)
    assert torch.equal(run_lean(block, x), plain)
