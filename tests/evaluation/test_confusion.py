"""The figures of the protocol against scikit-learn and against counting by hand."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from mmfer.evaluation import confusion_matrix, majority_class, summarise

NAMES = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral']


@pytest.fixture(scope='module')
def answers():
    rng = np.random.default_rng(3)
    label = rng.choice(7, size=500, p=[0.12, 0.01, 0.05, 0.4, 0.15, 0.07, 0.2])
    predicted = np.where(rng.random(500) < 0.6, label, rng.integers(0, 7, 500))
    return label, predicted


def test_counts_equal_scikit_learn(answers):
    label, predicted = answers
    np.testing.assert_array_equal(confusion_matrix(label, predicted, 7), oracle.confusion_matrix(label, predicted))


def test_rows_are_labels():
    np.testing.assert_array_equal(confusion_matrix([0, 0, 2], [1, 0, 1], 3), [[1, 1, 0], [0, 0, 0], [0, 1, 0]])


def test_figures_equal_scikit_learn(answers):
    label, predicted = answers
    figures = summarise(confusion_matrix(label, predicted, 7), NAMES)
    assert figures['accuracy'] == pytest.approx(100 * oracle.accuracy_score(label, predicted))
    assert figures['mean_class_accuracy'] == pytest.approx(100 * oracle.balanced_accuracy_score(label, predicted))
    assert figures['macro_f1'] == pytest.approx(100 * oracle.f1_score(label, predicted, average='macro'))
    for i, value in enumerate(oracle.recall_score(label, predicted, average=None)):
        assert figures[f'recall/{NAMES[i]}'] == pytest.approx(100 * value)


def test_a_class_without_faces_is_left_out_of_every_mean():
    # By hand: class 1 has no faces but one prediction. Recalls 2/3 and 1/1; F1 2*2/(3+2) and 2*1/(1+1).
    label, predicted = [0, 0, 0, 2], [0, 0, 1, 2]
    figures = summarise(confusion_matrix(label, predicted, 3), ['a', 'b', 'c'])
    assert figures['accuracy'] == pytest.approx(75)
    assert figures['mean_class_accuracy'] == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert figures['macro_f1'] == pytest.approx(100 * (0.8 + 1) / 2)
    assert figures['macro_f1'] == pytest.approx(100 * oracle.f1_score(label, predicted, average='macro', labels=[0, 2]))
    assert 'recall/b' not in figures
    assert np.isfinite(list(figures.values())).all()


def test_a_class_that_is_never_predicted_scores_zero():
    figures = summarise(confusion_matrix([0, 1, 1], [0, 0, 0], 2), ['a', 'b'])
    assert figures['recall/b'] == 0
    assert figures['macro_f1'] == pytest.approx(100 * (2 / 4 + 0) / 2)


def test_majority_class_is_the_most_frequent_label_whatever_is_predicted():
    assert majority_class(np.array([[0, 5], [0, 3]])) == (0, 62.5)
