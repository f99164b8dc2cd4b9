"""Landmarks by the network of the face-alignment package, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device

from mmfer.detectors.box_landmarks import BoxLandmarks
from mmfer.detectors.choice import build_face_detector
from mmfer.detectors.face_alignment_package import fetch_weights, load_landmark_network
from mmfer.detectors.warp import warp
from mmfer.registry import LANDMARK_DETECTORS

REFERENCE_SCALE = 195
"""Width plus height of a face detector's boxes where FAN wants a crop of 200; detectors may have their own."""
_CROP, _BEHIND, _RAISE = 256, 200, 0.12  # how the landmark network was trained, see face_alignment.utils


@LANDMARK_DETECTORS.register_module()
class FaceAlignmentDetector(BoxLandmarks):
    """68 points by FAN, as the `face-alignment <https://github.com/1adrianb/face-alignment>`_ package ships it.

    The network is that of `How far are we from solving the 2D & 3D face alignment problem?
    <https://arxiv.org/abs/1703.07332>`_. The package takes one image after the other and rounds points down to whole
    pixels. Here the network sees all faces at once, and a point keeps the quarter of a heatmap cell to which it is
    known. A score is the mean height of the heatmaps' peaks, at most 1.

    Args:
        face_detector: The package's 'sfd', 'blazeface', 'retinaface', 'scrfd', 'yunet' or 'dlib', or another of
            `FACE_DETECTORS`, by its name or config; None takes the whole image for the face.
        device: Where the networks run. Defaults to None: the accelerator where there is one.

    Raises:
        ValueError: There is no such face detector, or it needs a package that is not installed.
        FileNotFoundError: The weights are neither there nor can they be fetched; says what belongs where.
    """

    def __init__(self, face_detector: str | Mapping[str, Any] | None = 'sfd', device: str | None = None):
        self.device = device or str(get_device())
        fetch_weights(face_detector if isinstance(face_detector, str) else None)
        super().__init__(build_face_detector(face_detector, self.device))
        self.network = load_landmark_network(self.device)

    @torch.inference_mode()
    def find_points(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [N, 68, 2] and score [N] of one face an image, given its box [N, 4]."""
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        centre[:, 1] -= _RAISE * height
        side = _BEHIND * (width + height) / getattr(self.faces, 'reference_scale', REFERENCE_SCALE)
        crops = np.stack([_crop(*face) for face in zip(images, centre, side, strict=True)])
        inputs = torch.from_numpy(crops.transpose(0, 3, 1, 2)).to(self.device).float() / 255
        heatmaps = self.network(inputs)
        heatmaps = heatmaps[-1] if isinstance(heatmaps, list) else heatmaps  # the last stack's
        cells, peaks = find_peaks(heatmaps.float().cpu().numpy())
        points = centre[:, None] + ((cells + 0.5) / heatmaps.shape[-1] - 0.5) * side[:, None, None] - 0.5
        return points.astype(np.float32), peaks.mean(1).clip(1e-3, 1)


def find_peaks(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where heatmaps peak, moved a quarter of a cell towards the higher neighbour, as FAN's authors read them.

    Args:
        heatmaps: [N, L, H, W].

    Returns:
        (x, y) [N, L, 2] in cells, centres at integers; height of the peaks [N, L].
    """
    count, points, height, width = heatmaps.shape
    best = heatmaps.reshape(count, points, -1).argmax(-1)
    y, x = np.divmod(best, width)
    n, k = np.ogrid[:count, :points]
    inside = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1)
    left, right, up, down = (
        heatmaps[n, k, (y + dy).clip(0, height - 1), (x + dx).clip(0, width - 1)]
        for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1))
    )
    towards = np.stack([np.sign(right - left), np.sign(down - up)], axis=-1) * inside[..., None]
    return np.stack([x, y], axis=-1) + 0.25 * towards, heatmaps[n, k, y, x]


def _crop(image: np.ndarray, centre: np.ndarray, side: float) -> np.ndarray:
    """The square around a face at the network's size, black beyond the image."""
    scale = _CROP / side
    shift = (0.5 - centre) * scale + _CROP / 2 - 0.5  # of pixel centres
    return warp(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), _CROP)
