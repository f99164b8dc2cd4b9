"""What is refused, and said, where gradients are accumulated."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.hooks import EMAHook
from torch import nn

from mmfer.engine.checks import accumulation
from mmfer.engine.checks.accumulation import check_accumulation
from mmfer.models.losses import LandmarkHeatmapLoss


def runner_of(model, valid=(True, True), faces=32, drop_last=True, hooks=(), batches=2):
    dataset = SimpleNamespace(columns=dict(landmark_valid=np.array(valid)), datasets=None, dataset=None)
    whole = faces // 4 if drop_last else -(-faces // 4)

    class Loader(SimpleNamespace):
        def __len__(self):
            return whole

    loader = Loader(dataset=dataset, batch_size=4, drop_last=drop_last, sampler=range(faces))
    cfg = dict(optim_wrapper=dict(accumulative_counts=batches))
    return SimpleNamespace(model=model, train_dataloader=loader, hooks=hooks, cfg=cfg)


@pytest.fixture
def said(monkeypatch):
    sentences = []
    monkeypatch.setattr(accumulation, 'print_log', lambda sentence, **_: sentences.append(sentence))
    return sentences


def test_a_mean_over_faces_with_landmarks_is_refused_where_some_have_none(said):
    model = nn.Sequential(LandmarkHeatmapLoss())
    check_accumulation(runner_of(model))
    check_accumulation(runner_of(model, valid=(True, False), batches=1))
    with pytest.raises(ValueError, match=r'counts=2: LandmarkHeatmapLoss \(model.0\) divides by the number of faces'):
        check_accumulation(runner_of(model, valid=(True, False)))
    assert said == []


def test_an_average_of_weights_is_to_follow_the_updates(said):
    with pytest.raises(ValueError, match='EMAHook averages the weights behind every batch.*give it interval=2'):
        check_accumulation(runner_of(nn.Linear(1, 1), hooks=[EMAHook()]))
    check_accumulation(runner_of(nn.Linear(1, 1), hooks=[EMAHook(interval=2)]))
    assert said == []


def test_what_is_left_over_is_said(said):
    check_accumulation(runner_of(nn.Linear(1, 1), faces=30, drop_last=False))
    assert len(said) == 1
    assert 'each of the 2 faces of the last batch of an epoch counts for more' in said[0]
    check_accumulation(runner_of(nn.Linear(1, 1), faces=30))
    assert said[1:] == [
        'optim_wrapper.accumulative_counts=2 does not divide the 7 batches of an epoch: an update has faces of two '
        'epochs'
    ]
