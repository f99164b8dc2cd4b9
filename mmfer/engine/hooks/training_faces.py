"""What the training faces looked like, kept in every checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

TRAINING_FACES = 'training_faces'
"""The key in a checkpoint's `meta`."""


class TrainingFacesHook(Hook):
    """Keeps the sizes of the training faces in every checkpoint, so that a picture unlike any of them can be told.

    Args:
        sizes: Width and height of each picture as it is stored [N, 2].
    """

    priority = 'NORMAL'

    def __init__(self, sizes: np.ndarray):
        self.summary = summarise_sizes(sizes)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Adds them, as plain numbers."""
        checkpoint['meta'][TRAINING_FACES] = dict(self.summary)


def summarise_sizes(sizes: np.ndarray) -> dict[str, Any]:
    """The number of faces, and the range of width, height and aspect (width / height) of all but the odd ones.

    Of either end one in a hundred is left out, so that a single banner among the faces does not make banners usual.
    """
    width, height = np.asarray(sizes).T

    def most(values: np.ndarray) -> Any:
        return np.quantile(values, (0.01, 0.99)).tolist()

    # One after the other: each takes 160 MB for ten million faces.
    return dict(faces=len(width), width=most(width / 1), height=most(height / 1), aspect=most(width / height))
