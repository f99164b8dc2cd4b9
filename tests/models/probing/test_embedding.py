"""The embedding is what the last layer of a head sees."""

import pytest
import torch
from tiny import CE, classifier, faces, lanet, total
from torch import nn
from torch.testing import assert_close

from mmfer.models.probing.embedding import embedding_of, embedding_width, needs_head

EXACT = dict(rtol=0, atol=0)
VECTORS, MAPS, TOKENS = torch.randn(2, 5), torch.randn(2, 5, 3, 4), torch.randn(2, 7, 5)


@pytest.mark.parametrize(
    ('features', 'expected'),
    [
        ((VECTORS,), VECTORS),
        ([torch.zeros(2, 3), VECTORS], VECTORS),
        (VECTORS, VECTORS),
        ((MAPS,), MAPS.mean((2, 3))),
        ((TOKENS,), TOKENS.mean(1)),
        (((VECTORS, 2 * VECTORS),), torch.cat([VECTORS, 2 * VECTORS], 1)),
        (dict(early=MAPS, late=VECTORS), None),
    ],
)
def test_without_pre_logits_it_is_what_goes_in(features, expected):
    found = embedding_of(nn.Linear(5, 3), features)
    assert found.ndim == 2
    if expected is not None:
        assert_close(found, expected)


HEADS = {
    'LinearClsHead': (dict(type='LinearClsHead'), 64, False),
    'VisionTransformerClsHead': (dict(type='VisionTransformerClsHead'), 64, False),
    'hidden layer': (dict(type='VisionTransformerClsHead', hidden_dim=24), 24, True),
    'StackedLinearClsHead': (dict(type='StackedLinearClsHead', mid_channels=[20]), 20, True),
    'SCNHead': (dict(type='mmfer.SCNHead'), 64, False),
}


@pytest.mark.parametrize('name', HEADS)
def test_a_step_of_la_net_goes_with_every_head(name):
    head, width, hidden = HEADS[name]
    model = classifier(dict(cls=CE, lanet=lanet()), size=64, head=dict(**head, num_classes=3, in_channels=64))
    model.supervision.bank.allocate(torch.arange(20) % 3, 3)
    assert (embedding_width(model), needs_head(model)) == (width, hidden)
    keys = model.supervision.methods['lanet']['branches']['keys']
    assert keys.project_expression[0].in_features == width
    assert ('head' in keys.twin) == hidden  # the keys are those of a copy of the whole way to the embedding
    model.eval()
    inputs, batch = faces(4, size=64)
    losses = model.loss(inputs, batch)
    total(losses).backward()
    # The copy starts as the network, so that a face's key is its own query.
    with torch.no_grad():
        model.supervision.methods['lanet']['branches']['keys'].started.fill_(False)
        keys._in_step = False
        key = keys.begin(model, inputs)['expression_key']
        query = keys(embedding_of(model.head, model.extract_feat(inputs)), torch.zeros(4, 8))['expression_query']
    assert_close(key, query, rtol=1e-4, atol=1e-5)


def test_looking_for_its_width_leaves_the_modes_alone():
    model = classifier(None, size=64).train()
    assert embedding_width(model) == 64
    assert all(module.training for module in model.modules())
