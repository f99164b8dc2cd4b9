"""What a confusion matrix says: counting, and the figures of the protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def confusion_matrix(label: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts faces by observed label (row) and predicted class (column).

    Args:
        label: Observed class ids [N], in [0, K).
        predicted: Predicted class ids [N], in [0, K).
        num_classes: K.

    Returns:
        int64 [K, K].

    Raises:
        ValueError: Labels and predictions are not of the same faces.
    """
    label, predicted = np.asarray(label, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if label.shape != predicted.shape:
        raise ValueError(f'there are labels {label.shape} and predictions {predicted.shape}')
    counts = np.bincount(label * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def summarise(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """The protocol's figures in percent: overall and mean class accuracy, macro F1, recall of each class.

    A class without a single face has no recall; it is left out of both means and of the result, so that no figure
    is NaN. The F1 of a class is 2 TP / (faces labelled so + faces predicted so).

    Args:
        confusion: Counts [K, K], rows are observed labels.
        classes: K names.

    Returns:
        ``accuracy``, ``mean_class_accuracy``, ``macro_f1`` and ``recall/<class>`` of every class that has faces.

    Raises:
        ValueError: No class has.
    """
    confusion = np.asarray(confusion, dtype=np.int64)
    labelled, predicted, right = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    present = labelled > 0
    if not present.any():
        raise ValueError('an empty confusion matrix has no figures')
    recall = right[present] / labelled[present]
    f1 = 2 * right[present] / (labelled[present] + predicted[present])
    figures = dict(accuracy=right.sum() / labelled.sum(), mean_class_accuracy=recall.mean(), macro_f1=f1.mean())
    names = [name for name, there in zip(classes, present, strict=True) if there]
    figures.update((f'recall/{name}', value) for name, value in zip(names, recall, strict=True))
    return {name: 100 * float(value) for name, value in figures.items()}


def majority_class(confusion: np.ndarray) -> tuple[int, float]:
    """The most frequent observed class and its share in percent: what always guessing it would score."""
    labelled = np.asarray(confusion).sum(1)
    return int(labelled.argmax()), 100 * float(labelled.max() / labelled.sum())
