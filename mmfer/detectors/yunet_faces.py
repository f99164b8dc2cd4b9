"""YuNet, the small face detector that OpenCV runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import torch

from mmfer.detectors.faces import NO_FACES, Faces, search_at
from mmfer.registry import FACE_DETECTORS
from mmfer.structures.printable import printable_name

ADDRESS = 'https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx'
SHA256 = '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4'
"""Of the file behind `ADDRESS`, as its repository gives it."""
_SIDE = 1280


@FACE_DETECTORS.register_module()
class YuNetFaces:
    """`YuNet <https://doi.org/10.1007/s11633-023-1423-y>`_ through OpenCV: boxes and five points, on a CPU.

    Args:
        file: Its `.onnx`. Defaults to None: fetched once, with its SHA-256, into torch's folder of checkpoints.
        threshold: Score from which on a face counts.
        overlap: Share of two boxes' union that they may have in common; of two with more the surer one stays.
        enlarge: How many times larger pictures become where they stay below 1280 pixels.

    Raises:
        FileNotFoundError: The file is not there, and cannot be fetched; says what belongs where.
        ValueError: It is no model that OpenCV can run.
    """

    reference_scale = 165

    def __init__(
        self, file: str | Path | None = None, threshold: float = 0.6, overlap: float = 0.3, enlarge: float = 2.0
    ):
        path = _fetched() if file is None else Path(file)
        if not path.is_file():
            raise FileNotFoundError(f'there is no file {path}: give YuNetFaces the .onnx, or leave file out')
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), '', (0, 0), threshold, overlap)
        except cv2.error as error:
            raise ValueError(
                f'OpenCV cannot run {printable_name(path)} as YuNet ({" ".join(str(error).split())[:200]}): '
                f'fetch it anew from {ADDRESS}'
            ) from None
        self.enlarge = enlarge

    def detect(self, images: Sequence[np.ndarray]) -> list[Faces]:
        """The faces of every image, RGB uint8 [H, W, 3] of any sizes."""
        return search_at(images, lambda searched: [self._detect(image) for image in searched], _SIDE, self.enlarge)

    def _detect(self, image: np.ndarray) -> Faces:
        self._network.setInputSize((image.shape[1], image.shape[0]))
        _, found = self._network.detect(np.ascontiguousarray(image[..., ::-1]))
        if found is None:
            return NO_FACES
        found = found.astype(np.float64)
        corner, size = found[:, :2], found[:, 2:4]
        # It names the eye and the corner of the mouth of a person's right side first: those at the left of the picture.
        return Faces(np.hstack([corner, corner + size]), found[:, 14], found[:, 4:14].reshape(-1, 5, 2))


def _fetched() -> Path:
    path = Path(torch.hub.get_dir()) / 'checkpoints' / ADDRESS.rsplit('/', 1)[1]
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(ADDRESS, str(path), hash_prefix=SHA256)
        except (URLError, OSError, RuntimeError) as error:  # RuntimeError: another hash
            raise FileNotFoundError(
                f'YuNet cannot be fetched here ({error}): put {path.name} (from {ADDRESS}) into {path.parent}, or name '
                'it by file=...'
            ) from None
    return path
