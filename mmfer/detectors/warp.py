"""Similarities between points, and warping images by them."""

from __future__ import annotations

import cv2
import numpy as np


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift [2, 3] that takes points to points with the least squared error (no reflection).

    `Umeyama, Least-squares estimation of transformation parameters between two point patterns
    <https://doi.org/10.1109/34.88573>`_, in the plane.
    """
    a = source - source.mean(0)
    b = target - target.mean(0)
    # As complex numbers a similarity without reflection is z -> m z + c, and m is a linear regression.
    m = (np.conj(a[:, 0] + 1j * a[:, 1]) * (b[:, 0] + 1j * b[:, 1])).sum() / (a**2).sum()
    matrix = np.array([[m.real, -m.imag], [m.imag, m.real]])
    return np.column_stack([matrix, target.mean(0) - matrix @ source.mean(0)])


def move(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [..., 2] where a map [2, 3] takes them."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def warp(image: np.ndarray, matrix: np.ndarray, size: int, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """Takes an image along a similarity of pixel centres, without aliasing where it shrinks.

    Args:
        image: uint8 [H, W, 3].
        matrix: [2, 3], from pixels of the image to pixels of the result, both with centres at integers.
        size: Side of the result.
        border: OpenCV's way to go on beyond the image. Defaults to black.

    Returns:
        uint8 [size, size, 3].
    """
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    if scale < 1:  # a warp reads four pixels for each of its own: the others must have been averaged before
        before = np.array(image.shape[1::-1])
        after = np.maximum(1, np.rint(before * scale)).astype(int)
        image = cv2.resize(image, after.tolist(), interpolation=cv2.INTER_AREA)
        # The rest of the way, so that all of it is the map that was asked for: centres lie at (x + .5) / width.
        back = before / after
        matrix = np.column_stack([matrix[:, :2] * back, matrix @ [*(0.5 * back - 0.5), 1]])
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
