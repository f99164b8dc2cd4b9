"""What is in the place of a checkpoint's parts ends in a sentence, whatever it is."""

import pytest
import torch

from mmfer.apis.checkpoints.agreement import trained_classes
from mmfer.apis.checkpoints.checkpoint_file import class_names, read_checkpoint
from mmfer.apis.checkpoints.seen_in_training import training_faces
from mmfer.apis.checkpoints.stored_config import stored_config
from mmfer.apis.deployment import deployed_state
from mmfer.engine.hooks.training_faces import TRAINING_FACES

ONE = {'backbone.weight': torch.ones(2)}


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / 'x.pth')
        return tmp_path / 'x.pth'

    return save


@pytest.mark.parametrize(
    ('content', 'part'),
    [
        (dict(state_dict=[1]), 'its state_dict is a list'),
        (dict(state_dict=torch.ones(3)), 'its state_dict is a Tensor'),
        (dict(state_dict=ONE, ema_state_dict='x'), 'its ema_state_dict is a str'),
        (dict(state_dict=ONE, meta=['cfg']), 'its meta is a list'),
        (dict(state_dict=ONE, meta=dict(dataset_meta=3)), 'its dataset_meta is a int'),
        ([ONE], 'holds a list, no checkpoint'),
        (torch.ones(3), 'holds a Tensor, no checkpoint'),
    ],
)
def test_parts_of_another_kind(content, part, saved):
    with pytest.raises(ValueError, match=rf'x\.pth .*{part}'):
        read_checkpoint(saved(content))


@pytest.mark.parametrize('value', [None, 3, 'x', [1], dict(a=1), float('nan'), torch.ones(2)])
def test_values_of_another_kind_are_as_if_they_were_not_there(value, saved):
    keys = ('cfg', 'classes', TRAINING_FACES, 'epoch')
    content = dict(state_dict=ONE | {5: value, 'head': value}, meta={key: value for key in keys})
    content['meta']['dataset_meta'] = dict(classes=value if value != [1] else None)
    checkpoint = read_checkpoint(saved(content))
    state = deployed_state(checkpoint)
    assert state['backbone.weight'].tolist() == [1, 1]
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    assert isinstance(stored_config(checkpoint), dict)
    assert trained_classes(checkpoint) is None
    assert class_names(checkpoint, 2) == ['class0', 'class1']
    assert training_faces(checkpoint) is None
