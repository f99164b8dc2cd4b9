import pytest
import torch
from tiny import CE, ToyClassifier, classifier, faces, hooks_of
from torch import nn

from mmfer.models.supervision.taps import Taps


def test_a_tap_holds_what_its_module_puts_out_and_carries_the_gradient():
    model, inputs = ToyClassifier(), torch.randn(2, 3, 8, 8)
    with Taps(model, dict(first='backbone.conv', last='backbone.deep.relu')).record(model) as tapped:
        model.extract_feat(inputs)
    expected = model.backbone.conv(inputs)
    assert set(tapped) == {'first', 'last'}
    torch.testing.assert_close(tapped['first'], expected)
    torch.testing.assert_close(tapped['last'], expected.relu())
    tapped['last'].sum().backward()
    assert model.backbone.conv.weight.grad.abs().max() > 0


def test_where_a_module_gives_a_tuple_the_last_counts():
    model = classifier()
    with Taps(model, dict(maps='backbone', pooled='neck', stage='backbone.layer4')).record(model) as tapped:
        feats = model.extract_feat(torch.randn(2, 3, 32, 32))
    assert tapped['maps'] is tapped['stage']
    assert tapped['maps'].shape == (2, 64, 1, 1)
    assert tapped['pooled'] is feats[-1]


def test_hooks_exist_only_while_it_records():
    model = ToyClassifier()
    taps = Taps(model, dict(a='backbone.conv', b='backbone.conv', c='backbone.deep'))
    assert hooks_of(model) == 0
    with taps.record(model):
        assert hooks_of(model) == 3
    assert hooks_of(model) == 0


def test_a_module_that_has_not_run_is_named():
    model = classifier(
        dict(cls=CE, scn=dict(taps=dict(importance='head.attention'))),
        head=dict(type='mmfer.SCNHead', num_classes=3, in_channels=64),
    )
    model.loss(*faces())
    model.eval()
    with pytest.raises(RuntimeError, match='"head.attention" has not run .*; the network is in evaluation mode, call'):
        model.loss(*faces())


def test_hooks_go_when_the_network_raises():
    model = ToyClassifier()
    with (
        pytest.raises(RuntimeError, match='expected input'),
        Taps(model, dict(a='backbone.conv')).record(model),
    ):
        model.extract_feat(torch.randn(2, 7, 8, 8))
    assert hooks_of(model) == 0


def test_a_copy_of_the_network_can_be_recorded_with_the_same_taps():
    model, copy = ToyClassifier(), ToyClassifier()
    taps, inputs = Taps(model, dict(a='backbone.conv')), torch.randn(1, 3, 8, 8)
    with taps.record(copy) as tapped:
        model.extract_feat(inputs)  # is not the one that is recorded
        assert not tapped
        copy.extract_feat(inputs)
    torch.testing.assert_close(tapped['a'], copy.backbone.conv(inputs))


@pytest.mark.parametrize(
    ('path', 'nearest'),
    [('backbone.layer5', 'backbone.layer'), ('layer4', 'backbone.layer4'), ('backbone.layer3.2', 'backbone.layer3')],
)
def test_a_path_that_is_not_there_is_met_with_the_nearest(path, nearest):
    message = f'tap "stage4": the network has no module "{path}"; the nearest is "{nearest}'
    with pytest.raises(ValueError, match=message):
        Taps(classifier(), dict(stage4=path))


def test_no_taps_are_fine():
    model = nn.Linear(2, 2)
    with Taps(model, {}).record(model) as tapped:
        model(torch.zeros(1, 2))
    assert tapped == {}
