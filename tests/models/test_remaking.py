"""Maps that are made again in the backward pass: bit for bit what a plain pass gives, with less memory."""

import copy
from contextlib import nullcontext

import pytest
import torch
from mmpretrain.models import VGG, ConvNeXt, ResNet, VisionTransformer
from mmpretrain.models.utils import InvertedResidual
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile

from mmfer.models.supervision.remaking import remade_maps

NETWORKS = {
    'ResNet': lambda: ResNet(18, base_channels=8, stem_channels=8),
    'bottleneck': lambda: ResNet(50, base_channels=4, stem_channels=8),
    'VGG': lambda: VGG(11, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU', inplace=False)),
    'residual': lambda: nn.Sequential(nn.Conv2d(3, 16, 1), ResNet(18, base_channels=16, stem_channels=16).layer2),
    'squeeze and excite': lambda: InvertedResidual(3, 3, 48, se_cfg=dict(channels=48, ratio=4)),
    'transformer': lambda: VisionTransformer('deit-tiny', img_size=32, patch_size=8, drop_path_rate=0.5, drop_rate=0.1),
    'ConvNeXt': lambda: ConvNeXt(dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 16])),
    'group norm, SiLU': lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.Conv2d(8, 8, 3),
        nn.Hardswish(inplace=True),
        nn.Conv2d(8, 8, 1),
    ),
    'activation first': lambda: nn.Sequential(nn.BatchNorm2d(3), nn.SiLU(inplace=True), nn.Conv2d(3, 4, 3)),
    'no norm': lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)),
    'norm that is added to': lambda: Added(),
    'enlarged': lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)
    ),
}


class Added(nn.Module):
    """Uses what a normalisation gives twice, and overwrites it."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        x = self.norm(self.first(x))
        shifted = self.second(x * 2)
        x += shifted
        return self.second(torch.relu(x))


def stepped(network, around, twice=False):
    """Outputs, gradients and buffers of two training steps."""
    network.train()
    seen = []
    for step in range(2):
        torch.manual_seed(step)
        x = torch.randn(4, 3, 32, 32).requires_grad_()
        with around(network), sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
            output = network(x * 1)
        output = output[-1] if isinstance(output, tuple) else output
        value = output.square().mean()
        if twice:
            (gradient,) = torch.autograd.grad(value, x, create_graph=True)
            value = value + gradient.square().sum()
        value.backward(retain_graph=True)
        output.sum().backward()
        seen += [output, x.grad, *(p.grad.clone() for p in network.parameters() if p.grad is not None)]
    return [*seen, *network.buffers()]


@pytest.mark.filterwarnings('ignore:Unnecessary conv bias')
@pytest.mark.parametrize(
    ('channels_last', 'twice', 'share', 'products'),
    [(False, False, 0, 0), (False, False, 0, 576), (True, False, 0.5, 0), (True, True, 0, 576)],
)
@pytest.mark.parametrize('kind', NETWORKS)
def test_values_gradients_and_statistics_are_the_same_to_the_bit(kind, channels_last, twice, share, products):
    torch.manual_seed(7)
    network = NETWORKS[kind]()
    if channels_last:
        network.to(memory_format=torch.channels_last)
    plain = stepped(copy.deepcopy(network), lambda _: nullcontext(), twice)
    lean = stepped(network, lambda network: remade_maps(network, share, products), twice)
    assert len(plain) == len(lean) > 5
    assert all(map(torch.equal, plain, lean))


def held(network, around):
    """Bytes that a forward pass leaves behind for the backward pass."""
    x = torch.randn(8, 3, 96, 96)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled, around(network):
        output = network(x)
    assert output[-1].requires_grad
    events = profiled.profiler.kineto_results.events()
    return sum(event.nbytes() for event in events if event.name() == '[memory]')


def test_a_stem_holds_its_convolution_only():
    network = ResNet(18)
    plain, stem, all_maps = (
        held(network, around)
        for around in (lambda _: nullcontext(), remade_maps, lambda network: remade_maps(network, share=0))
    )
    values = 8 * 64 * 48 * 48
    left_out = 4 * values + 4 * values // 4 + 8 * values // 4  # behind the ReLU, pooled, places of the maxima
    assert plain - stem == left_out
    assert all_maps < stem - 8 * 4 * (2 * 64 * 24 * 24)  # and what is between the convolutions of a block


def test_what_an_operation_in_place_has_changed_is_not_taken():
    with remade_maps(nn.Identity()):
        x = torch.randn(1, 2, 4, 4, requires_grad=True) * 1
        larger = nn.functional.interpolate(x, scale_factor=2)
        value = larger.square().sum()
        x.add_(1)
    with pytest.raises(RuntimeError, match='upsample_nearest2d.* was given, which an operation in place has changed'):
        value.backward()


def test_without_a_graph_or_where_something_is_compiled_it_does_nothing(monkeypatch):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    monkeypatch.setattr('mmfer.models.supervision.remaking._Watch', None)
    with torch.no_grad(), remade_maps(network):
        network(torch.randn(2, 3, 8, 8))
    network[1].compile(backend='eager')
    with remade_maps(network):
        pass
