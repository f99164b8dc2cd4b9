from collections import Counter

import numpy as np
import pytest
from mmengine.registry import DATA_SAMPLERS

from mmfer.datasets.samplers import ClassBalancedSampler, by_class


class Labels:
    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


def sampler(counts=(50, 13, 4), per_class=20, epoch=0, seed=0, **kwargs):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    result = ClassBalancedSampler(Labels(labels), per_class, seed=seed, **kwargs)
    result.set_epoch(epoch)
    return result


def by_label(one):
    """The rows that each class gives, with repeats."""
    rows = np.array(list(one))
    return [rows[one.labels[rows] == label].tolist() for label in range(int(one.labels.max()) + 1)]


@pytest.mark.parametrize('epoch', [0, 1, 7])
def test_every_class_gives_exactly_so_many(epoch):
    one = sampler(epoch=epoch)
    assert [len(rows) for rows in by_label(one)] == [20, 20, 20]
    assert len(one) == len(list(one)) == 60


MEANS = [((50, 13, 4), 22), ((3, 4), 4), ((2, 2, 3), 2), ((5, 0, 2), 4), ((7,), 7)]


@pytest.mark.parametrize(('counts', 'mean'), MEANS)
def test_by_default_the_mean_size_of_the_classes(counts, mean):
    """67 / 3 = 22.3; a half, as of (3 + 4) / 2, is rounded up; absent classes have no size."""
    one = sampler(counts, per_class=None)
    assert [len(rows) for rows in by_label(one)] == [mean if count else 0 for count in counts]


def test_large_classes_are_capped_and_small_ones_repeated_evenly():
    large, small, tiny = (Counter(rows) for rows in by_label(sampler()))
    assert set(large.values()) == {1}
    assert sorted(small.values()) == [1] * 6 + [2] * 7
    assert sorted(tiny.values()) == [5] * 4


def test_a_capped_class_shows_another_part_in_each_epoch():
    parts = [frozenset(by_label(sampler(epoch=epoch))[0]) for epoch in range(12)]
    assert len(set(parts)) == 12
    assert frozenset.union(*parts) == frozenset(np.flatnonzero(sampler().labels == 0).tolist())


def test_classes_are_mixed():
    drawn = sampler().labels[list(sampler())]
    assert len(set(drawn[:15])) == 3
    assert len(set(drawn[-15:])) == 3


def test_draws_depend_on_seed_and_epoch_only():
    one, other = sampler(epoch=3), sampler(epoch=7)
    third = list(one)
    list(other)
    other.set_epoch(3)
    assert list(other) == list(one) == third
    assert list(sampler(epoch=4)) != third
    assert list(sampler(epoch=3, seed=1)) != third
    assert list(sampler(epoch=2, seed=1)) != third  # the sum is the same


def test_draws_do_not_change_between_versions():
    """Pins the order: a change of it changes everybody's results."""
    assert list(sampler((4, 2), per_class=3, epoch=5)) == [5, 0, 0, 3, 1, 4]


@pytest.mark.parametrize('round_up', [True, False])
@pytest.mark.parametrize('world', [2, 3, 7])
def test_ranks_share_the_draws(monkeypatch, world, round_up):
    whole, shards = list(sampler()), []
    for rank in range(world):
        monkeypatch.setattr(by_class, 'get_dist_info', lambda rank=rank: (rank, world))
        one = sampler(round_up=round_up)
        shards.append(list(one))
        assert len(shards[-1]) == len(one)
    woven = [shards[i % world][i // world] for i in range(sum(map(len, shards)))]
    assert woven == whole + whole[: -60 % world if round_up else 0]


def test_a_config_builds_it():
    one = DATA_SAMPLERS.build(dict(type='mmfer.ClassBalancedSampler', dataset=Labels([0, 0, 1]), per_class=2, seed=0))
    assert sorted(one.labels[list(one)]) == [0, 0, 1, 1]


def test_mistakes_are_named(monkeypatch):
    with pytest.raises(ValueError, match='per_class=...\\) must be at least 1, got 0'):
        sampler(per_class=0)
    with pytest.raises(ValueError, match='ClassBalancedSampler needs a dataset with get_gt_labels.*list has not'):
        ClassBalancedSampler([1, 2])
    monkeypatch.setattr(by_class, 'sync_random_seed', lambda: 1234)
    assert sampler(seed=None).seed == 1234
