"""dlib's 68 landmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmfer.detectors.box_landmarks import BoxLandmarks
from mmfer.detectors.choice import build_face_detector
from mmfer.detectors.dlib_package import load_dlib
from mmfer.detectors.faces import main_face
from mmfer.detectors.warp import warp
from mmfer.registry import LANDMARK_DETECTORS
from mmfer.structures.dlib_models import model_file

MISSED = 0.1
"""Score of points for which the whole image was taken for the face, as the detector found none."""
_BOX, _CROP = 200, 400  # pixels of a face's box, and of what is cut out around it


@LANDMARK_DETECTORS.register_module()
class DlibLandmarks(BoxLandmarks):
    """68 points by `dlib <http://dlib.net>`_'s regression trees, with models that come with packages of the index.

    `One Millisecond Face Alignment with an Ensemble of Regression Trees
    <https://doi.org/10.1109/CVPR.2014.241>`_, trained on 300-W, whose licence is for research.

    A score tells how the face was found, as the trees say nothing of their points: that of the detector, c, as
    .2 + .8 c / (1 + c); 1 where the image is the face by order; `MISSED` where it was taken for the face because none
    was found.

    Args:
        face_detector: One of `FACE_DETECTORS`, by its name or config; None takes the whole image for the face.
        missed: What becomes of an image in which no face is found: 'whole' takes the whole image for the face, as each
            image should be one; 'skip' gives no points, and score 0.
        device: Not used, dlib runs on the CPU; there as other detectors have it.

    Raises:
        ValueError: dlib is not installed; names the line that installs it.
        FileNotFoundError: Likewise of its models.
    """

    def __init__(
        self,
        face_detector: str | Mapping[str, Any] | None = 'mmfer.DlibFaces',
        missed: str = 'whole',
        device: str | None = None,
    ):
        if missed not in ('whole', 'skip'):
            raise ValueError(f"DlibLandmarks: missed must be 'whole' or 'skip', got {missed!r}")
        super().__init__(build_face_detector(face_detector, device))
        self.missed = missed
        self._dlib = load_dlib()
        self._trees = self._dlib.shape_predictor(str(model_file('shape_predictor_68_face_landmarks.dat')))
        self._box = self._dlib.rectangle(*[(_CROP - _BOX) // 2] * 2, *[(_CROP + _BOX) // 2 - 1] * 2)

    def detect(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """As :class:`BoxLandmarks`, with scores that tell how a face was found."""
        whole = [np.array([0.0, 0, image.shape[1], image.shape[0]]) for image in images]
        if self.faces is None:
            return self.find_points(images, np.stack(whole))
        boxes, score = [], []
        for found, frame in zip(self.faces.detect(images), whole, strict=True):
            main = main_face(found.boxes, (int(frame[3]), int(frame[2]))) if len(found.boxes) else None
            boxes.append(frame if main is None else found.boxes[main])
            sure = 0 if main is None else max(0.0, found.score[main])
            score.append((MISSED if self.missed == 'whole' else 0) if main is None else 0.2 + 0.8 * sure / (1 + sure))
        points, _ = self.find_points(images, np.stack(boxes))
        return np.where(np.array(score)[:, None, None] > 0, points, 0), np.array(score, dtype=np.float32)

    def find_points(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points float32 [N, 68, 2] of one face an image, given its box [N, 4]; score 1."""
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        scale = _BOX * 2 / (boxes[:, 2:] - boxes[:, :2]).sum(1)  # dlib knows squares alone
        points = [self._of_one(*face) for face in zip(images, centre, scale, strict=True)]
        return np.stack(points).astype(np.float32), np.ones(len(points), dtype=np.float32)

    def _of_one(self, image: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
        # All faces at one size: boxes are whole pixels, which of a small face are much.
        shift = (0.5 - centre) * scale + _CROP / 2 - 0.5  # of pixel centres
        crop = warp(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), _CROP)
        found = np.array([(point.x, point.y) for point in self._trees(crop, self._box).parts()], dtype=np.float64)
        return (found - shift) / scale
