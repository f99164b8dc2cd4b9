from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmengine.logging import MessageHub

from mmfer.datasets.samplers import by_class
from mmfer.datasets.samplers.progressive import ProgressiveSampler, progressive_counts


class Labels:
    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def __len__(self):
        return len(self.labels)

    def get_gt_labels(self):
        return self.labels


def sampler(counts=(9, 3), max_epochs=10, epoch=0, seed=0, **kwargs):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    result = ProgressiveSampler(Labels(labels), max_epochs, seed=seed, **kwargs)
    result.set_epoch(epoch)
    return result


def drawn_by_class(sampler, rows, classes):
    return np.bincount(sampler.labels[rows], minlength=classes).tolist()


@pytest.mark.parametrize(('epoch', 'expected'), [(0, [9, 3]), (5, [8, 4]), (10, [6, 6])])
def test_the_papers_schedule(epoch, expected):
    """The oracle of the method page."""
    assert progressive_counts([9, 3], epoch, 10).tolist() == expected
    one = sampler(epoch=epoch)
    assert drawn_by_class(one, list(one), 2) == expected


def exact(counts, epoch, max_epochs):
    """The same by fractions, one class at a time."""
    t, total, classes = Fraction(epoch, max_epochs), sum(counts), sum(n > 0 for n in counts)
    shares = [((1 - t) * n / total + t / classes) * total if n else Fraction(0) for n in counts]
    draws = [int(share) for share in shares]
    order = sorted(range(len(counts)), key=lambda c: (draws[c] - shares[c], c))
    for c in order[: total - sum(draws)]:
        draws[c] += 1
    return draws


@pytest.mark.parametrize('counts', [[1290, 281, 717, 4772, 1982, 705, 2524], [5, 0, 2], [1, 1, 1], [3, 3, 1], [7]])
def test_largest_remainder_for_every_epoch(counts):
    for epoch in range(13):
        draws = progressive_counts(counts, epoch, 12).tolist()
        assert draws == exact(counts, epoch, 12)
        assert sum(draws) == sum(counts)


def test_epochs_beyond_the_last_stay_balanced():
    assert progressive_counts([9, 3], 25, 10).tolist() == [6, 6]


@pytest.mark.parametrize('epoch', [0, 4, 9])
def test_every_face_of_a_class_before_any_again(epoch):
    one = sampler((50, 13, 4), epoch=epoch)
    times = Counter(one)
    for label, count in enumerate((50, 13, 4)):
        often = [times[row] for row in np.flatnonzero(one.labels == label)]
        assert len(often) == count
        assert max(often) - min(often) <= 1


def test_the_first_epoch_is_a_permutation():
    assert sorted(sampler((50, 13, 4))) == list(range(67))


def test_draws_depend_on_seed_and_epoch_only():
    one, other = sampler((50, 13), epoch=3), sampler((50, 13), epoch=7)
    third = list(one)
    list(other)
    other.set_epoch(3)
    assert list(other) == third
    assert list(one) == third
    assert list(sampler((50, 13), epoch=4)) != third
    # Seed and epoch are not added: epoch 3 of seed 0 is not epoch 2 of seed 1.
    assert list(sampler((50, 13), epoch=2, seed=1)) != list(sampler((50, 13), epoch=2, seed=0))
    first = sampler((50, 13), epoch=0, seed=1, max_epochs=10**9)
    second = sampler((50, 13), epoch=1, seed=0, max_epochs=10**9)
    assert list(first) != list(second)


def test_draws_do_not_change_between_versions():
    """Pins the order: a change of it changes everybody's results."""
    assert list(sampler((4, 2), epoch=5)) == [3, 5, 4, 0, 2, 1]


@pytest.mark.parametrize('round_up', [True, False])
@pytest.mark.parametrize('world', [2, 3, 5])
def test_ranks_share_the_draws(monkeypatch, world, round_up):
    whole = list(sampler((9, 4), epoch=5))
    shards = []
    for rank in range(world):
        monkeypatch.setattr(by_class, 'get_dist_info', lambda rank=rank: (rank, world))
        one = sampler((9, 4), epoch=5, round_up=round_up)
        shards.append(list(one))
        assert len(shards[-1]) == len(one)
    woven = [shards[i % world][i // world] for i in range(sum(map(len, shards)))]
    assert woven[:13] == whole
    assert woven[13:] == whole[: len(woven) - 13]
    if round_up:
        assert len({len(shard) for shard in shards}) == 1
    else:
        assert len(woven) == 13


def test_more_ranks_than_faces(monkeypatch):
    monkeypatch.setattr(by_class, 'get_dist_info', lambda: (6, 7))
    assert len(list(sampler((1, 1)))) == 1


def test_a_shared_seed_is_drawn_where_none_is_given(monkeypatch):
    monkeypatch.setattr(by_class, 'sync_random_seed', lambda: 1234)
    assert sampler(seed=None).seed == 1234


def test_the_run_says_how_many_epochs_there_are():
    """MMEngine's RuntimeInfoHook leaves them on the message hub."""
    hub = MessageHub.get_instance('a run of ten epochs')
    hub.update_info('max_epochs', 10)
    of_run, told = sampler(max_epochs=None, epoch=5), sampler(max_epochs=10, epoch=5)
    assert list(of_run) == list(told)
    assert list(of_run) != list(sampler(max_epochs=5, epoch=5))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='outside a run .* set max_epochs'):
        list(sampler(max_epochs=None))
    with pytest.raises(ValueError, match='max_epochs=...\\) must be at least 1, got 0'):
        sampler(max_epochs=0)
    with pytest.raises(ValueError, match='get_gt_labels.*ConcatDataset has not; use .* mmfer.ConcatFaces'):
        ProgressiveSampler(ConcatDataset.__new__(ConcatDataset), 3, seed=0)
