"""What the shape of a face says of its label, where landmarks are there: a witness that no network has taught."""

from __future__ import annotations

import numpy as np
import torch

from mmfer.apis.analysis.label_scores import self_confidence
from mmfer.datasets import FaceDataset
from mmfer.functional.face_shapes import aligned_shapes, gaussian_shares, neighbour_shares


def shape_doubts(dataset: FaceDataset, fold: np.ndarray) -> np.ndarray | None:
    """How much more the shapes of other faces say for another class than for the observed one.

    Asked are the nearest shapes of the whole set, and normal distributions of the shapes of the other folds; their
    shares are averaged.

    Args:
        dataset: All training faces.
        fold: Of each [N].

    Returns:
        The largest share of another class minus that of the label, float64 [N]; nan where a face has no landmarks. None
        where hardly any has.
    """
    if 'landmarks' not in dataset.columns:
        return None
    points = np.asarray(dataset.columns['landmarks'], dtype=np.float32)
    there = np.asarray(dataset.columns['landmark_valid']) & (np.ptp(points, axis=1).max(axis=1) > 0)
    labels, classes = dataset.get_gt_labels()[there], len(dataset.metainfo['classes'])
    if len(labels) < 2 * classes:
        return None
    shapes, label = aligned_shapes(torch.from_numpy(points[there])), torch.from_numpy(labels)
    shares = neighbour_shares(shapes, label, classes)
    for number in np.unique(fold[there]):
        held_out = torch.from_numpy(fold[there] == number)
        if held_out.all():  # there is nobody else to learn from
            break
        of = shapes[held_out]
        shares[held_out] = (shares[held_out] + gaussian_shares(shapes[~held_out], label[~held_out], of, classes)) / 2
    found = shares.numpy()
    own = self_confidence(found, labels)
    found[np.arange(len(labels)), labels] = -1
    doubts = np.full(len(there), np.nan)
    doubts[there] = found.max(axis=1) - own
    return doubts
