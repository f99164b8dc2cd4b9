"""The face detectors of the face-alignment package, in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.device import get_device

from mmfer.detectors.face_alignment_package import load_face_detector
from mmfer.detectors.faces import NO_FACES, Faces, search_at
from mmfer.registry import FACE_DETECTORS

DETECTION_SIDE = 1280
"""Images are searched at this size at most: faces below 1 % of it are too small."""
_SMALLEST = 32  # of the networks; what is smaller gets a black border


@FACE_DETECTORS.register_module()
class FaceAlignmentFaces:
    """A face detector of the `face-alignment <https://github.com/1adrianb/face-alignment>`_ package.

    Where it can, it sees all images of one size at once.

    Args:
        name: 'sfd', 'blazeface', 'retinaface', 'scrfd', 'yunet' or 'dlib'.
        device: Where its network runs. Defaults to None: the accelerator where there is one.

    Raises:
        ValueError: There is none of that name, or it needs a package that is not installed.
        FileNotFoundError: The weights are neither there nor can they be fetched; says what belongs where.
    """

    def __init__(self, name: str = 'sfd', device: str | None = None):
        self.network = load_face_detector(name, device or str(get_device()))

    @property
    def reference_scale(self) -> float:
        """Width plus height of a box where FAN wants a crop of 200."""
        return self.network.reference_scale

    def detect(self, images: Sequence[np.ndarray]) -> list[Faces]:
        """The faces of every image, RGB uint8 [H, W, 3] of any sizes."""
        return search_at(images, self._detect, DETECTION_SIDE)

    def _detect(self, images: list[np.ndarray]) -> list[Faces]:
        by_shape: dict[tuple[Any, ...], list[int]] = defaultdict(list)  # images of one shape make a batch
        for row, image in enumerate(images):
            lacking = [max(0, _SMALLEST - side) for side in image.shape[:2]]
            images[row] = cv2.copyMakeBorder(image, 0, lacking[0], 0, lacking[1], cv2.BORDER_CONSTANT)
            by_shape[images[row].shape].append(row)
        found = [NO_FACES] * len(images)
        for rows in by_shape.values():
            for row, boxes in zip(rows, self._of_one_shape([images[row] for row in rows]), strict=True):
                if len(boxes):
                    score = [box[4] if len(box) > 4 else 1 for box in boxes]
                    found[row] = Faces(np.array([box[:4] for box in boxes], dtype=np.float64), np.array(score, float))
        return found

    def _of_one_shape(self, images: list[np.ndarray]) -> list[Any]:
        try:
            batch = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2))
            return list(self.network.detect_from_batch(batch))
        except NotImplementedError:  # dlib's
            return [self.network.detect_from_image(image) for image in images]
