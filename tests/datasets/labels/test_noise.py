import numpy as np
import pytest

from mmfer.datasets.labels.noise import confusion_shares, instance_noise, noisy_labels
from mmfer.datasets.labels.schema import ORDERS

CLASSES = ORDERS['rafdb']


def labels(count=60_000, classes=7):
    return np.random.default_rng(7).integers(0, classes, count)


def transitions(before, after, classes=7):
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (before, after), 1)
    return matrix / matrix.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('rate', [0.1, 0.2, 0.3])
def test_symmetric_noise_is_uniform_over_the_other_classes(rate):
    before = labels()
    matrix = transitions(before, noisy_labels(before, CLASSES, 'symmetric', rate, seed=3))
    expected = np.full((7, 7), rate / 6)
    np.fill_diagonal(expected, 1 - rate)
    # 60,000 / 7 rows a class: four standard deviations of the largest entry.
    np.testing.assert_allclose(matrix, expected, atol=4 * np.sqrt(rate * (1 - rate) * 7 / 60_000))


def test_asymmetric_noise_goes_where_the_paper_says():
    before = labels()
    matrix = transitions(before, noisy_labels(before, CLASSES, 'asymmetric', 0.3, seed=3))
    goes_to = dict(
        anger='disgust',
        disgust='anger',
        fear='surprise',
        happiness='neutral',
        sadness='neutral',
        surprise='anger',
        neutral='sadness',
    )
    for row, name in enumerate(CLASSES):
        other = CLASSES.index(goes_to[name])
        assert matrix[row, other] == pytest.approx(0.3, abs=0.02)
        assert matrix[row, row] + matrix[row, other] == pytest.approx(1)


def test_asymmetric_noise_knows_synonyms_and_leaves_contempt():
    before = np.array([0, 1] * 500 + [2] * 50)
    after = noisy_labels(before, ('Happy', 'Neutral', 'contempt', 'sad'), 'asymmetric', 0.5)
    assert set(after[before == 0]) == {0, 1}
    assert set(after[before == 1]) == {1, 3}
    assert set(after[before == 2]) == {2}


def test_asymmetric_noise_needs_the_partner_classes():
    with pytest.raises(ValueError, match="needs happiness -> neutral.*kind='symmetric'"):
        noisy_labels(np.zeros(3, int), ('happiness', 'anger', 'disgust'), 'asymmetric', 0.1)


def test_noise_is_a_function_of_seed_and_row():
    before = labels(5000)
    after = noisy_labels(before, CLASSES, 'symmetric', 0.3, seed=5)
    assert np.array_equal(after, noisy_labels(before, CLASSES, 'symmetric', 0.3, seed=5))
    assert np.array_equal(after[:100], noisy_labels(before[:100], CLASSES, 'symmetric', 0.3, seed=5))
    assert (after != noisy_labels(before, CLASSES, 'symmetric', 0.3, seed=6)).any()
    less = noisy_labels(before, CLASSES, 'symmetric', 0.1, seed=5)
    assert set(np.flatnonzero(less != before)) < set(np.flatnonzero(after != before))
    assert np.array_equal(noisy_labels(before, CLASSES, 'symmetric', 0, seed=5), before)


def test_noise_does_not_change_between_versions():
    """Pins the draw: a change of it changes everybody's noise."""
    assert noisy_labels(np.arange(7).repeat(3), CLASSES, 'symmetric', 0.3).tolist() == [
        0,
        1,
        0,
        1,
        1,
        1,
        2,
        2,
        2,
        2,
        0,
        3,
        4,
        4,
        4,
        5,
        4,
        5,
        6,
        6,
        6,
    ]


def test_two_classes_swap():
    before = labels(1000, 2)
    after = noisy_labels(before, ('neutral', 'sadness'), 'symmetric', 0.4)
    assert 0.3 < (after != before).mean() < 0.5
    assert set(after) == {0, 1}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(kind='pair'), "must be 'symmetric', 'asymmetric', 'manifest' .* or 'corrections' .*got 'pair'"),
        (dict(rate=30), r'between 0 and 1 \(.3 for 30 %\), got 30'),
        (dict(rate=-0.1), 'between 0 and 1'),
        (dict(classes=('one',)), 'two classes'),
        (dict(confusions={'fear': 'anger'}), "takes no confusions; use kind='asymmetric'"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        noisy_labels(**{**dict(labels=np.zeros(3, int), classes=CLASSES, kind='symmetric', rate=0.1), **change})


def asymmetric(confusions, before, rate=0.4, classes=CLASSES):
    return transitions(before, noisy_labels(before, classes, 'asymmetric', rate, 3, confusions), len(classes))


def test_confusions_name_where_a_class_goes_and_the_others_stay():
    expected = np.eye(7)
    surprise, fear, happiness, anger, neutral = (
        CLASSES.index(name) for name in ('surprise', 'fear', 'happiness', 'anger', 'neutral')
    )
    expected[happiness, [happiness, neutral]] = 0.6, 0.4
    # Of the 40 %, 70 % go one way and 20 % the other; the missing 10 % keep their label.
    expected[fear, [fear, surprise, anger]] = 0.64, 0.28, 0.08
    got = asymmetric({'Happy': 'neutral', 'fear': {'surprised': 0.7, 'anger': 0.2}}, labels())
    np.testing.assert_allclose(got, expected, atol=0.025)
    assert (got[expected == 0] == 0).all()


def test_a_matrix_with_rate_1_is_the_transition_matrix():
    matrix = np.random.default_rng(2).dirichlet([0.5] * 7, 7)
    np.testing.assert_allclose(asymmetric(matrix, labels(), rate=1), matrix, atol=0.025)
    half = 0.5 * matrix + 0.5 * np.eye(7)
    np.testing.assert_allclose(asymmetric(matrix.tolist(), labels(), rate=0.5), half, atol=0.025)


def test_the_default_confusions_are_the_papers_written_out():
    pairs = {
        name: {
            'anger': 'disgust',
            'disgust': 'anger',
            'fear': 'surprise',
            'happiness': 'neutral',
            'sadness': 'neutral',
            'surprise': 'anger',
            'neutral': 'sadness',
        }[name]
        for name in CLASSES
    }
    before = labels(5000)
    assert np.array_equal(
        noisy_labels(before, CLASSES, 'asymmetric', 0.3, 4), noisy_labels(before, CLASSES, 'asymmetric', 0.3, 4, pairs)
    )


def test_a_class_without_share_is_never_drawn():
    """Neither the first nor the last one, where a rounded sum could run past the end."""
    matrix = [[0, 1, 0], [0, 1, 0], [0.1, 0.9, 0]]
    after = noisy_labels(labels(60_000, 3), ('a', 'b', 'c'), 'asymmetric', 1, 0, matrix)
    assert set(after) == {0, 1}
    thirds = confusion_shares(('a', 'b', 'c'), [[1 / 3, 1 / 3, 1 / 3]] * 3)
    assert thirds.shape == (3, 3)
    assert set(noisy_labels(labels(60_000, 3), ('a', 'b', 'c'), 'asymmetric', 1, 0, thirds)) == {0, 1, 2}


@pytest.mark.parametrize(
    ('confusions', 'message'),
    [
        ({'hapiness': 'neutral'}, "name 'hapiness', but the classes are"),
        ({'happiness': 'neutrl'}, "name 'neutrl'"),
        (
            {'happiness': {'neutral': 0.7, 'sadness': 0.4}},
            r"confusions\['happiness'\] must be shares that sum to at most 1",
        ),
        ({'happiness': {'neutral': -0.1}}, 'must be shares'),
        ({'happiness': 0.3}, 'must be a class, or shares by class, got 0.3'),
        ({'happiness': 'neutral', 'happy': 'sad'}, 'name a class twice'),
        ([[0.5, 0.5], [0.5, 0.5]], r'7 rows and columns.*got shape \(2, 2\)'),
        (np.full((7, 7), 0.2), 'rows that sum to \\[1.4'),
    ],
)
def test_mistakes_in_confusions_are_named(confusions, message):
    with pytest.raises(ValueError, match=message):
        noisy_labels(np.zeros(3, int), CLASSES, 'asymmetric', 0.3, 0, confusions)


def test_instance_noise_strikes_the_most_ambiguous_with_what_they_are_confused_with():
    probs = np.array([[0.9, 0.1, 0], [0.5, 0.1, 0.4], [0.2, 0.3, 0.5], [0, 0.98, 0.02], [0.35, 0.4, 0.25]])
    before = np.array([0, 0, 2, 1, 0])
    # Largest probability of another class: .1, .4, .3, .02, .4 of classes 1, 2, 1, 2, 1.
    assert instance_noise(before, probs, 0.4).tolist() == [0, 2, 2, 1, 1]
    assert instance_noise(before, probs, 0.6).tolist() == [0, 2, 1, 1, 1]
    assert instance_noise(before, probs, 0).tolist() == before.tolist()
    assert instance_noise(before, probs, 1).tolist() == [1, 2, 1, 2, 1]
    assert before.tolist() == [0, 0, 2, 1, 0]


def test_instance_noise_realises_its_rate_exactly_and_the_seed_decides_ties_only():
    random = np.random.default_rng(0)
    before, probs = random.integers(0, 7, 1001), random.dirichlet([1] * 7, 1001)
    for rate, count in ((0.1, 100), (0.3, 300), (0.2995, 300)):
        assert (instance_noise(before, probs, rate) != before).sum() == count
    assert np.array_equal(instance_noise(before, probs, 0.3, seed=1), instance_noise(before, probs, 0.3, seed=2))
    equal = np.full((1001, 7), 1 / 7)
    changed = [set(np.flatnonzero(instance_noise(before, equal, 0.3, seed=seed) != before)) for seed in (1, 1, 2)]
    assert changed[0] == changed[1] != changed[2]


def test_instance_noise_of_a_network_of_nan_is_refused():
    with pytest.raises(ValueError, match='not all numbers'):
        instance_noise(np.zeros(1, int), np.full((1, 7), np.nan), 0.3)
