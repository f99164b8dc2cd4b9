"""Maps from whatever networks put out."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmfer.models.probing.feature_maps import Feature, Layout, map_of_shape
from mmfer.models.probing.trial import learn_layouts

EXACT = dict(rtol=0, atol=0)
MAP = torch.arange(2 * 5 * 4 * 4.0).view(2, 5, 4, 4)
TOKENS = MAP.flatten(2).transpose(1, 2)
CLASS = -torch.ones(2, 1, 5)
WIDE = torch.arange(2 * 5 * 2 * 6.0).view(2, 5, 2, 6)
OUTPUTS = {
    'NCHW': MAP,
    'NHWC': MAP.permute(0, 2, 3, 1),
    'tokens': TOKENS,
    'class token': torch.cat([CLASS, TOKENS], 1),
    'class and distillation token': torch.cat([CLASS, CLASS, TOKENS], 1),
    'class token and registers': torch.cat([CLASS.expand(2, 5, 5), TOKENS], 1),
    'tokens and size': (TOKENS, (4, 4)),
    'tokens and torch.Size': [torch.cat([CLASS, TOKENS], 1), torch.Size((4, 4))],
    'tokens, height, width': (TOKENS, 4, 4),
    'several maps': (torch.zeros(2, 3, 8, 8), MAP),
    'map and vector': [MAP, torch.zeros(2, 7)],
    'nested': ((torch.zeros(2, 3, 8, 8),), (TOKENS, (4, 4))),
    'dict': dict(early=torch.zeros(2, 3, 8, 8), late=MAP, pooled=torch.zeros(2, 7)),
}


@pytest.mark.parametrize('name', OUTPUTS)
def test_each_is_the_same_map(name):
    feature = Feature(OUTPUTS[name], (64, 64))
    assert_close(feature.as_map(), MAP, **EXACT)
    assert_close(feature.as_map(2 * feature.tensor), 2 * MAP, **EXACT)


def test_tokens_may_stand_behind_the_channels():
    maps = torch.randn(2, 48, 4, 4)
    feature = Feature(maps.flatten(2), (64, 64))
    assert feature.layout == Layout('NCL')
    assert_close(feature.as_map(), maps, **EXACT)


def test_what_is_a_map_already_stays_the_very_tensor():
    assert Feature(MAP).as_map() is MAP


@pytest.mark.parametrize('output', [WIDE, WIDE.permute(0, 2, 3, 1), WIDE.flatten(2).transpose(1, 2),
                                    torch.cat([torch.ones(2, 1, 5), WIDE.flatten(2).transpose(1, 2)], 1)])  # fmt: skip
def test_a_map_has_the_shape_of_its_images(output):
    assert_close(Feature(output, (32, 96)).as_map(), WIDE, **EXACT)


def test_the_size_that_an_output_says_counts_whatever_the_images():
    assert_close(Feature((WIDE.flatten(2).transpose(1, 2), (2, 6)), (64, 64)).as_map(), WIDE, **EXACT)


@pytest.mark.parametrize('shape', [(2, 7), (2,), (2, 3, 4, 5, 6), (2, 35, 11)])
def test_what_holds_no_map_stays_as_it_is(shape):
    values = torch.zeros(shape)
    feature = Feature(values, (64, 64))
    assert feature.layout is None
    assert feature.as_map() is values


@pytest.mark.parametrize('output', [None, 3, 'text', (), [None, (1, 2)]])
def test_an_output_without_a_tensor_is_named(output):
    with pytest.raises(TypeError, match='without a tensor'):
        Feature(output)


def test_autograd_knows_the_tensor_and_not_only_the_map():
    tokens = torch.cat([CLASS, TOKENS], 1).requires_grad_()
    feature = Feature(2 * tokens, (64, 64))
    slope = torch.autograd.grad((feature.tensor[:, 1:] * 3).sum() + feature.tensor[:, 0].sum(), feature.tensor)[0]
    assert_close(feature.as_map(slope), torch.full_like(MAP, 3.0), **EXACT)
    assert feature.as_map().requires_grad


# --- where shapes do not tell ---


class Cube(nn.Module):
    """As many channels as rows and columns."""

    def __init__(self, kind: str, size: int = 8):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out = nn.Conv2d(3, size, 3, 64 // size, 1), nn.Identity()
        self.kind = kind

    def forward(self, images):
        maps = self.conv(images)
        return self.out({'NCHW': maps, 'NHWC': maps.permute(0, 2, 3, 1), 'NCL': maps.flatten(2),
                         'tokens': maps.flatten(2).transpose(1, 2)}[self.kind])  # fmt: skip


@pytest.mark.parametrize(('kind', 'size'), [('NCHW', 8), ('NHWC', 8), ('NCL', 4), ('tokens', 4)])
def test_a_picture_of_one_colour_does(kind, size):
    network = Cube(kind, size)
    if size == 4:  # 16 channels, 4 x 4 cells: [N, 16, 16]
        network.conv = nn.Conv2d(3, 16, 3, 16, 1)
    network.train()
    layouts = learn_layouts(network, ['out'], network, [(64, 64)])
    assert layouts == {'out': Layout(kind)}
    assert network.training
    output = network(torch.randn(2, 3, 64, 64))
    assert not Feature(output, (64, 64)).certain
    assert_close(
        Feature(output, (64, 64), layouts['out']).as_map().shape, torch.Size((2, 16 if size == 4 else 8, *[size] * 2))
    )


def test_known_beforehand_holds_for_images_of_another_size():
    """Five tokens in front of 2 x 2 cells could be 3 x 3 cells."""
    tokens = torch.cat([CLASS.expand(2, 5, 5), TOKENS[:, :4]], 1)
    assert Feature(tokens, None, Layout('tokens', 5)).as_map().shape == (2, 5, 2, 2)
    assert Feature(tokens, (32, 32)).as_map().shape == (2, 5, 2, 2)  # 3 cells do not divide 32 pixels
    assert Feature(tokens, (33, 33)).as_map().shape == (2, 5, 3, 3)


def test_a_network_that_does_not_run_here_is_left_to_its_shapes():
    class Elsewhere(nn.Module):
        def forward(self, images):
            raise RuntimeError('no CUDA')

    assert learn_layouts(Elsewhere(), [''], Elsewhere(), [(64, 64)]) == {}


# --- of channels and size that are known ---


@pytest.mark.parametrize('name', OUTPUTS)
def test_a_module_that_knows_its_map_finds_it(name):
    assert_close(map_of_shape(OUTPUTS[name], 5, (4, 4)), MAP, **EXACT)


def test_another_map_is_given_as_it_is_for_a_message_and_a_vector_is_none():
    assert map_of_shape(MAP, 6, (3, 3)) is MAP
    assert map_of_shape(torch.zeros(2, 5), 5, (4, 4)) is None
    cube = torch.randn(2, 4, 4, 4)
    assert map_of_shape(cube, 4, (4, 4)) is cube
