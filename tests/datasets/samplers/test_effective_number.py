from fractions import Fraction

import numpy as np
import pytest
from datasets.samplers.test_class_balanced import Labels
from mmengine.registry import DATA_SAMPLERS

from mmfer.datasets.samplers import EffectiveNumberSampler, by_class
from mmfer.datasets.samplers.effective_number import effective_number_counts


def shares(counts, beta):
    """Of Cui et al., in exact arithmetic: a face weighs 1 / E, with E the sum of beta^0 .. beta^(n-1)."""
    effective = [sum(Fraction(beta) ** i for i in range(n)) for n in counts]
    weights = [n / e if n else Fraction(0) for n, e in zip(counts, effective, strict=True)]
    return [sum(counts) * weight / sum(weights) for weight in weights]


@pytest.mark.parametrize('beta', ['0', '0.5', '0.9', '0.99', '0.9999'])
@pytest.mark.parametrize('counts', [(50, 13, 4), (400, 7, 0, 93), (1,)])
def test_draws_are_the_quotas_rounded(counts, beta):
    draws = effective_number_counts(np.array(counts), float(beta))
    assert draws.sum() == sum(counts)
    assert all(abs(draw - share) < 1 for draw, share in zip(draws.tolist(), shares(counts, beta), strict=True))
    assert [draw for draw, count in zip(draws.tolist(), counts, strict=True) if not count] == [0] * counts.count(0)


def test_beta_leads_from_the_frequencies_to_equal_classes():
    counts = np.array([900, 90, 10])
    assert effective_number_counts(counts, 0).tolist() == [900, 90, 10]
    assert effective_number_counts(counts, 1 - 1e-9).tolist() == [334, 333, 333]
    rare = [effective_number_counts(counts, beta)[2] for beta in (0, 0.9, 0.99, 0.999, 0.9999)]
    assert rare == sorted(set(rare))


def test_a_hand_made_example():
    """beta .5: E(1) = 1, E(2) = 1.5, E(3) = 1.75, so weights 1, 1.333, 1.714 of 6 draws: 1.482, 1.976, 2.541."""
    assert effective_number_counts(np.array([1, 2, 3]), 0.5).tolist() == [1, 2, 3]
    assert [float(share) for share in shares((1, 2, 3), '0.5')] == pytest.approx([1.4824, 1.9765, 2.5412], abs=1e-4)


def test_an_epoch_is_drawn_so_and_is_shared_by_ranks(monkeypatch):
    labels = Labels(np.repeat([0, 1, 2], [60, 30, 10]))
    one = EffectiveNumberSampler(labels, beta=0.99, seed=3)
    one.set_epoch(2)
    whole = list(one)
    assert np.bincount(one.labels[whole]).tolist() == effective_number_counts(np.array([60, 30, 10]), 0.99).tolist()
    again = EffectiveNumberSampler(labels, beta=0.99, seed=3)
    assert list(again) != whole
    again.set_epoch(2)
    assert list(again) == whole
    shards = []
    for rank in range(2):
        monkeypatch.setattr(by_class, 'get_dist_info', lambda rank=rank: (rank, 2))
        shard = EffectiveNumberSampler(labels, beta=0.99, seed=3)
        shard.set_epoch(2)
        shards.append(list(shard))
    assert [row for pair in zip(*shards, strict=True) for row in pair] == whole


def test_a_config_builds_it_and_a_wrong_beta_is_named():
    one = DATA_SAMPLERS.build(dict(type='mmfer.EffectiveNumberSampler', dataset=Labels([0, 0, 1]), seed=0))
    assert len(list(one)) == 3
    with pytest.raises(ValueError, match=r'beta=\.\.\.\) must be at least 0 and below 1, got 1'):
        EffectiveNumberSampler(Labels([0, 1]), beta=1)
