"""Batch-norm statistics of several processes: each gets its own back, another number of them the mean."""

import torch
from torch import nn

from mmfer.engine import rank_statistics
from mmfer.engine.rank_statistics import statistics_of_ranks, take_own


def test_each_takes_its_own_and_another_number_the_mean(monkeypatch):
    ranks = [{'bn.running_mean': torch.tensor([float(rank)])} for rank in (2, 4)]
    for world, rank, expected in ((2, 0, 2.0), (2, 1, 4.0), (1, 0, 3.0), (3, 2, 3.0)):
        monkeypatch.setattr(rank_statistics, 'get_world_size', lambda world=world: world)
        monkeypatch.setattr(rank_statistics, 'get_rank', lambda rank=rank: rank)
        state = {'bn.running_mean': torch.tensor([9.0]), 'bn.weight': torch.tensor([1.0])}
        take_own(state, ranks)
        assert state == {'bn.running_mean': torch.tensor([expected]), 'bn.weight': torch.tensor([1.0])}
    state = {'bn.running_mean': torch.tensor([9.0])}
    take_own(state, [])
    assert state['bn.running_mean'] == 9


def test_mean_and_variance_of_every_batch_norm_are_gathered(monkeypatch):
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.BatchNorm2d(3), nn.Linear(2, 2)))
    assert statistics_of_ranks(model) == []
    monkeypatch.setattr(rank_statistics, 'get_world_size', lambda: 2)
    monkeypatch.setattr(rank_statistics, 'all_gather_object', lambda own: [own, own])
    first, second = statistics_of_ranks(model)
    assert set(first) == {'0.running_mean', '0.running_var', '1.0.running_mean', '1.0.running_var'}
    assert first is second
    assert set(first) < set(model.state_dict())
