"""Landmark detectors that find the points of a face whose box is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmfer.detectors.faces import main_face
from mmfer.structures.landmark_sets import NUM_POINTS


class BoxLandmarks(ABC):
    """68 points of faces that a face detector finds.

    Args:
        faces: A face detector, see `mmfer.detectors`; None takes the whole image for the face, which suits faces that
            are cropped already, such as RAF-DB's aligned ones.
    """

    def __init__(self, faces: Any | None):
        self.faces = faces

    def detect(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Points of the main face of every image, the largest and most central one.

        Args:
            images: RGB uint8 [H, W, 3] of any sizes.

        Returns:
            points float32 [N, 68, 2], in pixels, centres at integers; score float32 [N], and 0 where no face was found.
        """
        points = np.zeros((len(images), NUM_POINTS, 2), dtype=np.float32)
        score = np.zeros(len(images), dtype=np.float32)
        found = self.find_boxes(images)
        rows = [row for row, boxes in enumerate(found) if len(boxes)]
        if rows:
            main = [found[row][main_face(found[row], images[row].shape)] for row in rows]
            points[rows], score[rows] = self.find_points([images[row] for row in rows], np.stack(main))
        return points, score

    def find_boxes(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """All faces of every image: float64 [faces, 4], left, top, right, bottom in its pixels."""
        if self.faces is None:
            return [np.array([[0.0, 0, image.shape[1], image.shape[0]]]) for image in images]
        return [found.boxes for found in self.faces.detect(images)]

    @abstractmethod
    def find_points(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [N, 68, 2] and score [N] of one face an image, given its box [N, 4]."""
