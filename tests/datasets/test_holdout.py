import re

import numpy as np
import pytest

from mmfer.datasets.holdout import folds_of, holdout_mask


def rows(label, **others):
    return dict(label=np.asarray(label), **others)


@pytest.mark.parametrize('fraction', [0.1, 0.25, 0.5])
def test_every_class_gives_the_same_share(fraction):
    counts = np.array([100, 37, 8, 500, 2])
    label = np.random.default_rng(0).permutation(np.repeat(np.arange(5), counts))
    held_out = np.bincount(label[holdout_mask(rows(label), fraction)], minlength=5)
    assert np.abs(held_out - fraction * counts)[:4].max() <= 0.5
    assert held_out[4] == 1  # a class of two has one on either side


def test_single_faces_and_empty_classes_stay_in_training():
    label = np.array([0] * 20 + [2])
    assert label[holdout_mask(rows(label), 0.3)].tolist() == [0] * 6


def test_holdout_depends_on_its_seed_only():
    label = np.random.default_rng(0).integers(0, 7, 300)
    first = holdout_mask(rows(label), 0.2, seed=4)
    assert np.array_equal(first, holdout_mask(rows(label), 0.2, seed=4))
    assert not np.array_equal(first, holdout_mask(rows(label), 0.2, seed=5))
    assert np.flatnonzero(holdout_mask(rows(np.arange(20) % 2), 0.2)).tolist() == [2, 3, 11, 18]


def test_people_stay_together():
    random = np.random.default_rng(0)
    identity = random.integers(0, 60, 900)
    label = random.choice(7, 900, p=[0.4, 0.25, 0.1, 0.1, 0.1, 0.03, 0.02])
    mask = holdout_mask(rows(label, identity=identity.astype(str)), 0.2)
    assert not set(identity[mask]) & set(identity[~mask])
    counts, held_out = np.bincount(label), np.bincount(label[mask], minlength=7)
    assert abs(held_out.sum() - 180) <= 20
    assert np.abs(held_out - 0.2 * counts).max() <= 12


@pytest.mark.parametrize('fraction', [0, 1, 10])
def test_a_senseless_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match=f'between 0 and 1, got {fraction}'):
        holdout_mask(rows([0, 1]), fraction)


def test_folds_part_all_faces_with_equal_shares_of_every_class():
    counts = np.array([100, 37, 8, 500, 6])
    label = np.random.default_rng(0).permutation(np.repeat(np.arange(5), counts))
    parts = [holdout_mask(rows(label), folds=5, fold=fold, seed=3) for fold in range(5)]
    assert np.sum(parts, axis=0).tolist() == [1] * 651
    assert {int(part.sum()) for part in parts} == {130, 131}
    shares = np.array([np.bincount(label[part], minlength=5) for part in parts])
    assert (np.ptp(shares, axis=0) <= 1).all()
    assert np.array_equal(parts[1], holdout_mask(rows(label), folds=5, fold=1, seed=3))
    assert not np.array_equal(parts[1], holdout_mask(rows(label), folds=5, fold=1, seed=4))


def test_folds_keep_people_together():
    random = np.random.default_rng(0)
    identity = random.integers(0, 60, 900)
    label = random.choice(7, 900, p=[0.4, 0.25, 0.1, 0.1, 0.1, 0.03, 0.02])
    part = folds_of(rows(label, identity=identity.astype(str)), 5)
    assert all(len(set(part[identity == person])) == 1 for person in range(60))
    shares = np.array([np.bincount(label[part == fold], minlength=7) for fold in range(5)])
    assert np.abs(shares.sum(axis=1) - 180).max() <= 20
    assert np.abs(shares - np.bincount(label) / 5).max() <= 12
    alone = folds_of(rows(label, identity=np.arange(900).astype(str)), 5)  # nobody is known twice
    shares = np.array([np.bincount(label[alone == fold], minlength=7) for fold in range(5)])
    assert (np.ptp(shares, axis=0) <= 1).all()
    assert np.ptp(np.bincount(alone)) <= 7


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (
            dict(fraction=0.1, folds=5, fold=0),
            'holdout takes a fraction, or folds and fold, such as dict(fraction=.1, seed=0) or dict(folds=5, fold=0, '
            "seed=0), got {'fraction': 0.1, 'folds': 5, 'fold': 0}",
        ),
        (dict(folds=5), "seed=0), got {'folds': 5}"),
        (dict(fold=0), "seed=0), got {'fold': 0}"),
        (dict(folds=1, fold=0), 'holdout.folds must be a whole number, at least 2, got 1'),
        (dict(folds=5, fold=5), 'holdout.fold must be a whole number, at least 0 and at most 4, got 5'),
    ],
)
def test_half_a_fold_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        holdout_mask(rows([0, 1]), **settings)
