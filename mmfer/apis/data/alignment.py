"""Templates of aligned faces, and cutting faces out of photos after them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmfer.apis.face_arrays import as_face
from mmfer.detectors.choice import default_landmark_detector
from mmfer.detectors.warp import similarity, warp
from mmfer.registry import LANDMARK_DETECTORS
from mmfer.structures.dlib_models import INSTALL

_FACES_A_PASS = 16


@dataclass(frozen=True)
class Template:
    """Where an aligned face has some of its features.

    Args:
        size: Side of the faces in pixels, as the template's users have them.
        members: For each feature the landmarks of the 68 whose mean it is.
        points: Where the features lie, (x, y) in sides of the face: 0 and 1 are its borders.
    """

    size: int
    members: tuple[tuple[int, ...], ...]
    points: tuple[tuple[float, float], ...]

    def matrix(self, landmarks: np.ndarray, size: int) -> np.ndarray:
        """The similarity [2, 3] that takes a face of 68 points onto the template, centres of pixels at integers."""
        landmarks = landmarks.astype(np.float64)
        anchors = np.stack([landmarks[list(points)].mean(0) for points in self.members])
        return similarity(anchors, np.array(self.points) * size - 0.5)


_EYES = (tuple(range(36, 42)), tuple(range(42, 48)))
_ARCFACE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
TEMPLATES = {
    'rafdb': Template(100, (*_EYES, (48, 54)), ((0.315, 0.405), (0.695, 0.405), (0.505, 0.785))),
    'arcface112': Template(
        112, (*_EYES, (30,), (48,), (54,)), tuple(((x + 0.5) / 112, (y + 0.5) / 112) for x, y in _ARCFACE)
    ),
}
"""`rafdb`: eye centres and middle of the mouth of faces laid out like RAF-DB's aligned ones; `arcface112`: eyes, tip of
the nose and corners of the mouth as `InsightFace <https://github.com/deepinsight/insightface>`_ aligns for ArcFace."""


@dataclass(frozen=True)
class FoundFace:
    """A face of a photo.

    Args:
        crop: The aligned face, BGR uint8 [S, S, 3].
        box: Left, top, right, bottom in pixels of the photo.
    """

    crop: np.ndarray
    box: tuple[int, int, int, int]


class FaceAligner:
    """Detects faces and aligns them by eyes and mouth.

    Expression networks are trained on aligned faces; a photo as it is, or a loose crop, costs them many points. A
    similarity (rotation, one scale, shift) takes the eye centres and the mouth centre to where they lie in RAF-DB's
    aligned faces; the crop is not sheared.

    Args:
        size: Side of the crops. Defaults to 224.
        device: Where the detector and the landmark network run. Defaults to 'cpu'.
        detector: A landmark detector that also finds faces, as those of mmfer do (see
            :class:`~mmfer.detectors.box_landmarks.BoxLandmarks`), or its config. Defaults to None: the face-alignment
            package's, or dlib's where its weights are not here and dlib is.

    Raises:
        FileNotFoundError: Weights are neither there nor can they be fetched; says what belongs where.
        ValueError: The detector needs a package that is not installed, or finds no faces.
    """

    def __init__(self, size: int = 224, device: str = 'cpu', detector: Any = None):
        self.size = size
        detector = detector or dict(type=default_landmark_detector()[0])
        try:
            if isinstance(detector, Mapping):
                detector = LANDMARK_DETECTORS.build({'device': device, **detector})
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{error}; or take dlib, which needs no download: {INSTALL}; or give aligned faces and leave --align '
                'out'
            ) from None
        if not (hasattr(detector, 'find_boxes') and hasattr(detector, 'find_points')):
            raise ValueError(
                f'{type(detector).__name__} finds the landmarks of images that are one face each, and no faces in '
                'photos: take another detector, or give it find_boxes and find_points, as '
                'mmfer.detectors.box_landmarks.BoxLandmarks has'
            )
        self.detector = detector

    def __call__(self, image: np.ndarray) -> list[FoundFace]:
        """Cuts out every face, left to right.

        Args:
            image: BGR uint8 [H, W, 3], or what else `as_face` takes.
        """
        image = as_face(image)
        rgb = np.ascontiguousarray(image[..., ::-1])
        boxes = self.detector.find_boxes([rgb])[0]
        boxes = boxes[boxes[:, 0].argsort(kind='stable')]
        found = []
        for start in range(0, len(boxes), _FACES_A_PASS):
            some = boxes[start : start + _FACES_A_PASS]
            points, _ = self.detector.find_points([rgb] * len(some), some)
            found += [
                FoundFace(align(image, landmarks, self.size), tuple(box))
                for landmarks, box in zip(points, some.round().astype(int).tolist(), strict=True)
            ]
        return found


def align(image: np.ndarray, landmarks: np.ndarray, size: int, template: Template = TEMPLATES['rafdb']) -> np.ndarray:
    """Cuts out one face.

    Args:
        image: BGR uint8 [H, W, 3].
        landmarks: 68 points (x, y) in pixels of `image`, pixel centres at integers.
        size: Side of the crop.
        template: How the crop is laid out. Defaults to RAF-DB's.

    Returns:
        uint8 [size, size, 3]; beyond the photo its border is repeated.
    """
    return warp(image, template.matrix(landmarks, size), size, cv2.BORDER_REPLICATE)
