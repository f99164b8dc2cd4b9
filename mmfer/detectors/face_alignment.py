"""Landmarks by the face-alignment package: its face detectors and its landmark network, in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.device import get_device

from mmfer.detectors.face_alignment_package import load_face_alignment
from mmfer.detectors.warp import warp
from mmfer.registry import LANDMARK_DETECTORS
from mmfer.structures.landmark_sets import NUM_POINTS

DETECTION_SIDE = 1280
"""Images are searched at this size at most: the detector's cost grows with the area, faces below 1 % are too small."""
_SMALLEST = 32  # of the face detectors; what is smaller gets a black border
_CROP, _BEHIND, _RAISE = 256, 200, 0.12  # how the landmark network was trained, see face_alignment.utils


@LANDMARK_DETECTORS.register_module()
class FaceAlignmentDetector:
    """68 points by FAN, as the `face-alignment <https://github.com/1adrianb/face-alignment>`_ package ships it.

    The network is that of `How far are we from solving the 2D & 3D face alignment problem?
    <https://arxiv.org/abs/1703.07332>`_. The package takes one image after the other and rounds points down to whole
    pixels. Here the face detector sees all images of one size at once and the network all faces, and a point keeps the
    quarter of a heatmap cell to which it is known.

    Args:
        face_detector: The package's 'sfd', 'blazeface', 'retinaface', 'scrfd', 'yunet' or 'dlib'; None takes the whole
            image for the face, which suits faces that are cropped already, such as RAF-DB's aligned ones.
        device: Where the networks run. Defaults to None: the accelerator where there is one.

    Raises:
        ValueError: There is no such face detector, or it needs a package that is not installed.
        FileNotFoundError: The weights are neither there nor can they be fetched; says what belongs where.
    """

    def __init__(self, face_detector: str | None = 'sfd', device: str | None = None):
        self.device = device or str(get_device())
        package = load_face_alignment(face_detector, self.device)
        self.network, self.face_detector = package.face_alignment_net, package.face_detector
        self.whole = face_detector is None

    def detect(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Points of the main face of every image.

        Of several faces it is the largest and most central one: the greatest area less twice the squared distance of
        its centre from that of the image, as FaceNet's alignment chooses.

        Args:
            images: RGB uint8 [H, W, 3] of any sizes.

        Returns:
            points float32 [N, 68, 2], in pixels, centres at integers; score float32 [N], the mean height of the
            heatmaps' peaks, at most 1, and 0 where no face was found.
        """
        points = np.zeros((len(images), NUM_POINTS, 2), dtype=np.float32)
        score = np.zeros(len(images), dtype=np.float32)
        found = self.find_boxes(images)
        rows = [row for row, boxes in enumerate(found) if len(boxes)]
        if rows:
            main = [_main(found[row], images[row].shape) for row in rows]
            points[rows], score[rows] = self.find_points([images[row] for row in rows], np.stack(main))
        return points, score

    def find_boxes(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """All faces of every image: float64 [faces, 4], left, top, right, bottom in its pixels."""
        if self.whole:
            return [np.array([[0.0, 0, image.shape[1], image.shape[0]]]) for image in images]
        scales = [min(1.0, DETECTION_SIDE / max(image.shape[:2])) for image in images]
        by_shape: dict[tuple[Any, ...], list[int]] = defaultdict(list)  # images of one shape make a batch
        small = []
        for row, (image, scale) in enumerate(zip(images, scales, strict=True)):
            if scale < 1:
                image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            lacking = [max(0, _SMALLEST - side) for side in image.shape[:2]]
            small.append(cv2.copyMakeBorder(image, 0, lacking[0], 0, lacking[1], cv2.BORDER_CONSTANT))
            by_shape[small[-1].shape].append(row)
        found = [np.empty((0, 4))] * len(images)
        for rows in by_shape.values():
            for row, boxes in zip(rows, self._detect_faces([small[row] for row in rows]), strict=True):
                boxes = np.array([box[:4] for box in boxes], dtype=np.float64).reshape(-1, 4) / scales[row]
                sound = np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
                found[row] = boxes[sound]
        return found

    def _detect_faces(self, images: list[np.ndarray]) -> list[Any]:
        try:
            batch = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2))
            return list(self.face_detector.detect_from_batch(batch))
        except NotImplementedError:  # dlib's
            return [self.face_detector.detect_from_image(image) for image in images]

    @torch.inference_mode()
    def find_points(self, images: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [N, 68, 2] and score [N] of one face an image, given its box [N, 4]."""
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        centre[:, 1] -= _RAISE * height
        side = _BEHIND * (width + height) / self.face_detector.reference_scale
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


def _main(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    off_centre = (boxes[:, :2] + boxes[:, 2:]) / 2 - (shape[1] / 2, shape[0] / 2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return boxes[(area - 2 * np.square(off_centre).sum(1)).argmax()]


def _crop(image: np.ndarray, centre: np.ndarray, side: float) -> np.ndarray:
    """The square around a face at the network's size, black beyond the image."""
    scale = _CROP / side
    shift = (0.5 - centre) * scale + _CROP / 2 - 0.5  # of pixel centres
    return warp(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), _CROP)
