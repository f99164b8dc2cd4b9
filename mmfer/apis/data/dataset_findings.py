"""What a look through the datasets of a config found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmfer.datasets import FaceDataset
from mmfer.datasets.images.bad_images import BadImage
from mmfer.datasets.landmarks.posture import Posture

OUTLYING = 4.0
"""Robust z-score; of 3,956 real faces with landmarks of a good detector none has more than 3.5."""


@dataclass(frozen=True)
class CheckedSet:
    """One dataset of the config, and what its files say.

    Args:
        name: Such as 'RAFDB train'.
        dataset: Without those of its rows whose header or end shows that they cannot be read.
        bad: All that cannot be read.
        size: (width, height) of the images as decoded, int [N, 2]; 0 where bad.
        digests: Hash of the pixels of each image, b'' where bad.
        thumbnails: float32 [N, 256].
        outlying: How far the landmarks are from a face's, float [N]; NaN where a face has none.
        off_image: Whether its landmarks are not on the image, bool [N].
        in_corner: Whether they lie in its upper left corner, bool [N].
        posture: Of the faces that have landmarks; None where none has.
    """

    name: str
    dataset: FaceDataset
    bad: list[BadImage]
    size: np.ndarray
    digests: list[bytes]
    thumbnails: np.ndarray
    outlying: np.ndarray
    off_image: np.ndarray
    in_corner: np.ndarray
    posture: Posture | None

    def published(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Faces a class in the label file, and as published, or both in all; None where nothing was published."""
        counts = self.dataset.COUNTS.get(self.dataset.source_split)
        if counts is None:
            return None
        there = np.bincount(self.dataset.load_columns()['label'], minlength=len(self.dataset.source_classes))
        return (there if len(counts) > 1 else there.sum(keepdims=True)), np.array(counts)

    def by_class(self) -> dict[str, int]:
        """Faces of each class."""
        classes = self.dataset.metainfo['classes']
        counts = np.bincount(self.dataset.get_gt_labels(), minlength=len(classes)).tolist()
        return dict(zip(classes, counts, strict=True))

    def label(self, row: int) -> str:
        """Name of a row's class."""
        return self.dataset.metainfo['classes'][self.dataset.columns['label'][row]]

    def turned(self) -> list[int]:
        """Rows whose landmarks do not stand upright."""
        if self.posture is None:
            return []
        return np.flatnonzero(self.dataset.columns['landmark_valid'])[self.posture.odd].tolist()

    def unusual(self) -> list[int]:
        """Rows whose landmarks hardly have the shape of a face, worst first."""
        order = np.argsort(-np.nan_to_num(self.outlying, nan=-np.inf), kind='stable')
        return [row for row in order.tolist() if self.outlying[row] > OUTLYING]


@dataclass(frozen=True)
class Pair:
    """Two rows of one set, or of two, that show the same picture.

    Args:
        sets: Positions of the two sets.
        rows: A row of each.
        similarity: 1 for the same pixels, otherwise the correlation at the second look.
    """

    sets: tuple[int, int]
    rows: tuple[int, int]
    similarity: float


@dataclass(frozen=True)
class DatasetCheck:
    """What `~mmfer.apis.data.dataset_check.check_datasets` found.

    Args:
        sets: The datasets of the config, each once.
        pairs: Pictures that occur twice, those of two sets first.
        people: Identities that two sets share, by the sets' positions.
    """

    sets: list[CheckedSet]
    pairs: list[Pair]
    people: dict[tuple[int, int], list[str]]
