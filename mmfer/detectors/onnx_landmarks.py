"""68 landmarks by any network in an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmfer.detectors.box_landmarks import BoxLandmarks
from mmfer.detectors.choice import build_face_detector
from mmfer.detectors.warp import warp
from mmfer.registry import LANDMARK_DETECTORS
from mmfer.structures.landmark_sets import NUM_POINTS
from mmfer.structures.printable import printable_name


@LANDMARK_DETECTORS.register_module()
class OnnxLandmarks(BoxLandmarks):
    """68 points by a network that looks at a face's crop, such as PFLD, run by OpenCV on a CPU.

    Its input is [1, 3, S, S]; its output 136 numbers, x and y of each point in turn. A score is 1: such a network does
    not say how sure it is.

    Args:
        file: The network, `.onnx`.
        size: Side S of its input.
        face_detector: One of `FACE_DETECTORS`, by its name or config; None takes the whole image for the face.
        around: Side of the square that it sees, in sides of the box (mean of its width and height).
        mean: Taken from each channel of pixels in [0, 1].
        std: By which they are divided then.
        rgb: Whether its channels are red, green, blue; else the other way round.
        unit: Whether its points are in sides of the crop, 0 to 1; else in pixels of it, corners of pixels at integers.
        device: Not used; there as other detectors have it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: OpenCV cannot run it on such crops, or it does not give 136 numbers.
    """

    def __init__(
        self,
        file: str | Path,
        size: int = 112,
        face_detector: str | Mapping[str, Any] | None = 'mmfer.DlibFaces',
        around: float = 1.2,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        rgb: bool = True,
        unit: bool = True,
        device: str | None = None,
    ):
        path = Path(file)
        if not path.is_file():
            raise FileNotFoundError(f'OnnxLandmarks: there is no file {path}')
        super().__init__(build_face_detector(face_detector, device))
        self.size, self.around, self.rgb, self.unit = size, around, rgb, unit
        self.mean, self.std = (np.array(v, dtype=np.float32) for v in (mean, std))
        self._name = printable_name(path)
        try:
            self._network = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise ValueError(f'OpenCV cannot read {self._name} as ONNX ({_short(error)})') from None
        self._points_of(np.zeros((size, size, 3), dtype=np.uint8))

    def find_points(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points float32 [N, 68, 2] of one face an image, given its box [N, 4]; score 1."""
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        scale = 2 * self.size / (self.around * (boxes[:, 2:] - boxes[:, :2]).sum(1))
        shift = (0.5 - centre) * scale[:, None] + self.size / 2 - 0.5  # of pixel centres
        crops = [
            warp(image, np.array([[by, 0, to[0]], [0, by, to[1]]]), self.size)
            for image, by, to in zip(images, scale, shift, strict=True)
        ]
        found = np.stack([self._points_of(crop) for crop in crops]) * (self.size if self.unit else 1) - 0.5
        points = (found - shift[:, None]) / scale[:, None, None]
        return points.astype(np.float32), np.ones(len(points), dtype=np.float32)

    def _points_of(self, crop: np.ndarray) -> np.ndarray:
        pixels = (crop if self.rgb else crop[..., ::-1]).astype(np.float32) / 255
        try:
            self._network.setInput(((pixels - self.mean) / self.std).transpose(2, 0, 1)[None])
            points = self._network.forward()
        except cv2.error as error:
            raise ValueError(
                f'{self._name} does not run on crops of {self.size} x {self.size} pixels ({_short(error)}): '
                'give its own size=...'
            ) from None
        if points.size != 2 * NUM_POINTS:
            raise ValueError(
                f'{self._name} gives {points.size} numbers ({list(points.shape)}), and {NUM_POINTS} landmarks are '
                f'{2 * NUM_POINTS}: other sets of points cannot be used'
            )
        return points.reshape(NUM_POINTS, 2).astype(np.float64)


def _short(error: cv2.error) -> str:
    return ' '.join(str(error).split())[:200]
