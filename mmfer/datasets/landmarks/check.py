"""Which landmarks cannot be those of their image, or of a face."""

from __future__ import annotations

import numpy as np

_ON_IMAGE = 0.5
"""Share of the points that must lie on the image; a jaw may well reach beyond a tight crop."""
_SPREAD, _PIXELS = 0.02, 2.0
"""Extent that the points must have, in sides of the image and in pixels; coordinates between 0 and 1 have less."""
_CORNER = 0.6
"""Share of the side that the points of a face reach beyond, unless it is a small one on a photo."""
_ROUNDS = 5


def off_image(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Whether the points are not on their image: most of them beside it, or all in one spot.

    Args:
        points: (x, y) in pixels, [N, L, 2].
        size: (width, height) of each image, [N, 2]; 0 where unknown.

    Returns:
        bool [N]; False where points are NaN or the size is unknown.
    """
    # The longer side both ways: an image that was held upright may be stored lying.
    side = size.max(axis=1)[:, None].astype(points.dtype)
    inside = ((points >= -0.5) & (points <= side[..., None] - 0.5)).all(axis=2).mean(axis=1) >= _ON_IMAGE
    spread = np.ptp(points, axis=1).max(axis=1) >= np.maximum(_SPREAD * side[:, 0], _PIXELS)
    return (side[:, 0] > 0) & np.isfinite(points).all(axis=(1, 2)) & ~(inside & spread)


def in_corner(points: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Whether all points lie in the upper left of their image: where nearly all faces do, they count smaller pixels.

    Args:
        points: (x, y) in pixels, finite, [N, L, 2].
        size: (width, height) of each image, [N, 2]; 0 where unknown.

    Returns:
        bool [N].
    """
    side = size.min(axis=1).astype(points.dtype)  # an image that was held upright may be stored lying
    return points.max(axis=(1, 2)) < _CORNER * side


def shape_outlyingness(points: np.ndarray) -> np.ndarray:
    """How far each face's points are from the mean shape, as a robust z-score.

    Every face is moved, turned and scaled onto the mean shape as closely as possible (Procrustes analysis, no
    mirroring). The logarithm of what remains, root mean square over the points, is set in relation to its median over
    the faces, in units of 1.4826 times the median absolute deviation: the standard deviation, were it normal.

    Args:
        points: (x, y), finite, [N, L, 2].

    Returns:
        float64 [N]; about 0 for an ordinary face, infinite for points that all coincide.
    """
    shapes = points[..., 0] + 1j * points[..., 1].astype(np.float64)
    shapes -= shapes.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(shapes, axis=1, keepdims=True)
    some = norm[:, 0] > 0
    distance = np.full(len(points), np.inf)
    if not some.any():
        return distance
    shapes = shapes[some] / norm[some]
    # The median is not drawn aside by the outliers that are sought.
    mean = np.median(shapes.real, axis=0) + 1j * np.median(shapes.imag, axis=0)
    for _ in range(_ROUNDS):
        mean /= np.linalg.norm(mean)
        turned = shapes * (shapes.conj() @ mean)[:, None]  # the best similarity is a complex factor
        mean = np.median(turned.real, axis=0) + 1j * np.median(turned.imag, axis=0)
    mean /= np.linalg.norm(mean)
    distance[some] = np.linalg.norm(shapes * (shapes.conj() @ mean)[:, None] - mean, axis=1) / np.sqrt(points.shape[1])
    log = np.log(distance[some] + 1e-12)
    middle = np.median(log)
    scale = 1.4826 * np.median(np.abs(log - middle))
    distance[some] = (log - middle) / max(scale, 1e-9)
    return distance
