import numpy as np
import pytest

from mmfer.datasets.label_noise import noisy_labels
from mmfer.datasets.label_schema import ORDERS

CLASSES = ORDERS['rafdb']


def labels(count=60_000, classes=7):
    return np.random.default_rng(7).integers(0, classes, count)


def transitions(before, after, classes=7):
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (before, after), 1)
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('rate', [.1, .2, .3])
def test_symmetric_noise_is_uniform_over_the_other_classes(rate):
    before = labels()
    matrix = transitions(before, noisy_labels(before, CLASSES, 'symmetric', rate, seed=3))
    expected = np.full((7, 7), rate / 6)
    np.fill_diagonal(expected, 1 - rate)
    # 60,000 / 7 rows a class: four standard deviations of the largest entry.
    np.testing.assert_allclose(matrix, expected, atol=4 * np.sqrt(rate * (1 - rate) * 7 / 60_000))


def test_asymmetric_noise_goes_where_the_paper_says():
    before = labels()
    matrix = transitions(before, noisy_labels(before, CLASSES, 'asymmetric', .3, seed=3))
    goes_to = dict(anger='disgust', disgust='anger', fear='surprise', happiness='neutral', sadness='neutral',
                   surprise='anger', neutral='sadness')
    for row, name in enumerate(CLASSES):
        other = CLASSES.index(goes_to[name])
        assert matrix[row, other] == pytest.approx(.3, abs=.02)
        assert matrix[row, row] + matrix[row, other] == pytest.approx(1)


def test_asymmetric_noise_knows_synonyms_and_leaves_contempt():
    before = np.array([0, 1] * 500 + [2] * 50)
    after = noisy_labels(before, ('Happy', 'Neutral', 'contempt', 'sad'), 'asymmetric', .5)
    assert set(after[before == 0]) == {0, 1}
    assert set(after[before == 1]) == {1, 3}
    assert set(after[before == 2]) == {2}


def test_asymmetric_noise_needs_the_partner_classes():
    with pytest.raises(ValueError, match="needs happiness -> neutral.*kind='symmetric'"):
        noisy_labels(np.zeros(3, int), ('happiness', 'anger', 'disgust'), 'asymmetric', .1)


def test_noise_is_a_function_of_seed_and_row():
    before = labels(5000)
    after = noisy_labels(before, CLASSES, 'symmetric', .3, seed=5)
    assert np.array_equal(after, noisy_labels(before, CLASSES, 'symmetric', .3, seed=5))
    assert np.array_equal(after[:100], noisy_labels(before[:100], CLASSES, 'symmetric', .3, seed=5))
    assert (after != noisy_labels(before, CLASSES, 'symmetric', .3, seed=6)).any()
    less = noisy_labels(before, CLASSES, 'symmetric', .1, seed=5)
    assert set(np.flatnonzero(less != before)) < set(np.flatnonzero(after != before))
    assert np.array_equal(noisy_labels(before, CLASSES, 'symmetric', 0, seed=5), before)


def test_noise_does_not_change_between_versions():
    """Pins the draw: a change of it changes everybody's noise."""
    assert noisy_labels(np.arange(7).repeat(3), CLASSES, 'symmetric', .3).tolist() == [
        0, 1, 0, 1, 1, 1, 2, 2, 2, 2, 0, 3, 4, 4, 4, 5, 4, 5, 6, 6, 6]


def test_two_classes_swap():
    before = labels(1000, 2)
    after = noisy_labels(before, ('neutral', 'sadness'), 'symmetric', .4)
    assert .3 < (after != before).mean() < .5
    assert set(after) == {0, 1}


@pytest.mark.parametrize(('change', 'message'), [
    (dict(kind='pair'), "must be 'symmetric' or 'asymmetric', got 'pair'"),
    (dict(rate=30), r'below 1 \(.3 for 30 %\), got 30'),
    (dict(rate=-.1), 'at least 0'),
    (dict(classes=('one',)), 'two classes'),
])
def test_mistakes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        noisy_labels(**{**dict(labels=np.zeros(3, int), classes=CLASSES, kind='symmetric', rate=.1), **change})
