import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmfer.engine.hooks import ReseedHook, reseed
from mmfer.registry import HOOKS


def draws(seed=0, epoch=0, iteration=0):
    """What the three generators give after the hook."""
    ReseedHook().before_train_iter(SimpleNamespace(seed=seed, epoch=epoch), iteration)
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_draws_depend_on_seed_epoch_and_iteration_alone():
    first = draws(3, 1, 4)
    random.random()
    np.random.random(100)
    torch.rand(100)
    draws(3, 1, 5)
    assert draws(3, 1, 4) == first


def test_every_one_of_them_changes_every_generator():
    seen = [draws(seed, epoch, iteration) for seed in range(3) for epoch in range(3) for iteration in range(3)]
    for generator in zip(*seen, strict=True):
        assert len(set(generator)) == 27


def test_ranks_draw_differently(monkeypatch):
    first = draws(3, 1, 4)
    monkeypatch.setattr(reseed, 'get_rank', lambda: 1)
    second = draws(3, 1, 4)
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert draws(3, 1, 4) == second


def test_large_seeds_are_fine():
    assert draws(2**31 - 1, 10**6, 10**7) != draws(2**31 - 2, 10**6, 10**7)


def test_it_comes_before_everything_that_draws():
    hook = HOOKS.build(dict(type='mmfer.ReseedHook'))
    assert hook.priority == 'VERY_HIGH'


@pytest.mark.parametrize('name', ['before_train_iter'])
def test_only_training_is_reseeded(name):
    assert ReseedHook().get_triggered_stages() == [name]
