"""dlib's face detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmfer.detectors.dlib_package import load_dlib
from mmfer.detectors.faces import Faces, search_at
from mmfer.registry import FACE_DETECTORS
from mmfer.structures.dlib_models import model_file

_SMALLEST = 80
"""Side in pixels of the smallest face that dlib looks for in a picture as it is."""
SIDE = 2560
"""Pictures are searched at this size at most."""


@FACE_DETECTORS.register_module()
class DlibFaces:
    """`dlib <http://dlib.net>`_'s detectors of faces, whose models come with packages of the index.

    Pictures are enlarged first, as faces below 80 pixels are not seen otherwise. Boxes are squares from the brows to
    the chin.

    Args:
        network: Whether to take the convolutional detector, which also sees faces that are turned, and is many times
            slower without a GPU. Defaults to the frontal detector, histograms of gradients in five poses.
        smallest: Side of the smallest faces to look for, in pixels; the time grows with its inverse square.
        threshold: Confidence from which on a face counts; a lower one finds more, and more that are none.

    Raises:
        ValueError: dlib is not installed; names the line that installs it.
        FileNotFoundError: Likewise of its models.
    """

    def __init__(self, network: bool = False, smallest: int = 40, threshold: float = 0.0):
        dlib = load_dlib()
        self.enlarge = max(1.0, _SMALLEST / smallest)
        self.threshold = threshold
        self._find: Any
        if network:
            self._find = _Network(dlib.cnn_face_detection_model_v1(str(model_file('mmod_human_face_detector.dat'))))
        else:
            self._find = dlib.get_frontal_face_detector().run

    def detect(self, images: Sequence[np.ndarray]) -> list[Faces]:
        """The faces of every image, RGB uint8 [H, W, 3] of any sizes."""
        return search_at(images, lambda searched: [self._detect(image) for image in searched], SIDE, self.enlarge)

    def _detect(self, image: np.ndarray) -> Faces:
        found, score, _ = self._find(np.ascontiguousarray(image), 0, self.threshold)
        boxes = [[box.left(), box.top(), box.right() + 1, box.bottom() + 1] for box in found]  # dlib names last pixels
        return Faces(np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(score, dtype=np.float64))


class _Network:
    """The convolutional detector, called as the frontal one is."""

    def __init__(self, network: Any):
        self.network = network

    def __call__(self, image: np.ndarray, upsample: int, threshold: float) -> tuple[list[Any], list[float], None]:
        found = [face for face in self.network(image, upsample) if face.confidence >= threshold]
        return [face.rect for face in found], [face.confidence for face in found], None
