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

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds them, as plain numbers."""
        checkpoint['meta'][TRAINING_FACES] = dict(self.summary)


def summarise_sizes(sizes: np.ndarray) -> dict[str, Any]:
    """The number of faces, and the smallest and largest width, height and aspect (width / height)."""
    width, height = np.asarray(sizes, dtype=np.int64).T
    aspect = width / height
    return dict(
        faces=len(width),
        width=[int(width.min()), int(width.max())],
        height=[int(height.min()), int(height.max())],
        aspect=[float(aspect.min()), float(aspect.max())],
    )
