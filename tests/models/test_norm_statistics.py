"""Batch norms without statistics are given some: testing stays as it was, and training begins there."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmfer.models.norm_statistics import _noise, estimate_statistics


@pytest.fixture
def net() -> nn.Module:
    """As one that was deployed: its norms scale and shift, and know nothing of what reaches them."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3, 2), nn.BatchNorm2d(6))
    for norm in (net[1], net[4]):
        nn.init.normal_(norm.weight, 1, 0.5)
        nn.init.normal_(norm.bias)
    return net


def test_in_testing_nothing_changes(net):
    pictures = torch.randn(2, 3, 20, 20)
    for _ in range(2):  # nor when it is done again
        before = copy.deepcopy(net).eval()(pictures)
        estimate_statistics(net)
        assert_close(net.eval()(pictures), before, rtol=1e-5, atol=1e-5)


def test_training_begins_where_testing_is(net):
    pictures = _noise()
    apart = (copy.deepcopy(net).train()(pictures) - copy.deepcopy(net).eval()(pictures)).abs().max()
    estimate_statistics(net)
    assert apart > 0.5
    assert_close(copy.deepcopy(net).train()(pictures), copy.deepcopy(net).eval()(pictures), rtol=1e-3, atol=1e-3)


def test_it_draws_nothing_from_torchs_generator_and_leaves_the_mode(net):
    state = torch.get_rng_state()
    estimate_statistics(net.train())
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_the_pictures_are_as_its_weights_are(net):
    estimate_statistics(net.double())
    assert net[4].running_var.std() > 0


def test_weights_whose_values_have_no_end_are_refused(net):
    nn.init.constant_(net[0].weight, 3e38)
    with pytest.raises(ValueError, match=r'face\.dat has weights of which values without end come'):
        estimate_statistics(net, 'face.dat')


def test_a_network_without_norms_is_not_run():
    estimate_statistics(nn.Linear(2, 2))  # which takes no pictures


def test_the_noise_is_what_a_preprocessor_gives():
    pictures = _noise()
    assert abs(float(pictures.mean())) < 0.2
    assert float(pictures.std()) == pytest.approx(1, abs=1e-3)
    rough = (pictures[..., 1:] - pictures[..., :-1]).std()
    assert 0.05 < float(rough) < 0.4  # neighbours are alike, as in photos
