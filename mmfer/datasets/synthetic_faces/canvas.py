"""Smooth, antialiased drawing at sub-pixel positions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import cv2
import numpy as np

Colour = tuple[float, float, float]
_BITS = 4


@lru_cache(maxsize=64)
def _spline_weights(count: int, closed: bool, steps: int) -> np.ndarray:
    """Matrix [M, count] that turns control points into a Catmull-Rom curve through all of them."""
    at = np.linspace(0, 1, steps, endpoint=False)[:, None]
    basis = 0.5 * np.hstack(
        [-at + 2 * at**2 - at**3, 2 - 5 * at**2 + 3 * at**3, at + 4 * at**2 - 3 * at**3, at**3 - at**2]
    )
    spans = count if closed else count - 1
    weights = np.zeros((spans * steps + (not closed), count))
    for span in range(spans):
        for offset in range(4):
            index = span + offset - 1
            index = index % count if closed else min(max(index, 0), count - 1)
            weights[span * steps : (span + 1) * steps, index] += basis[:, offset]
    if not closed:
        weights[-1, -1] = 1
    return weights


def smooth(points: np.ndarray, closed: bool = False, steps: int = 5) -> np.ndarray:
    """A dense smooth curve through the control points [P, 2]; open curves keep their two ends."""
    return _spline_weights(len(points), closed, steps) @ points


def scaled(colour: Colour, factor: float) -> Colour:
    """A lighter or darker colour."""
    blue, green, red = colour
    return min(blue * factor, 255.0), min(green * factor, 255.0), min(red * factor, 255.0)


class Canvas:
    """A picture drawn ``oversampling`` times larger than wanted; positions are in pixels of the wanted size."""

    def __init__(self, size: int, oversampling: int, channels: int = 3, fill: float = 0.0):
        self.size, self.oversampling = size, oversampling
        side = size * oversampling
        self.image = np.full((side, side, channels) if channels > 1 else (side, side), fill, np.uint8)

    def layer(self, fill: float = 0.0) -> Canvas:
        """An empty one-channel canvas of the same size."""
        return Canvas(self.size, self.oversampling, 1, fill)

    @contextmanager
    def inside(self, outline: np.ndarray) -> Iterator[None]:
        """Within this context only what lies inside the polygon is drawn."""
        before = self.image.copy()
        yield
        mask = self.layer()
        mask.fill(outline, 255)
        left, top, width, height = cv2.boundingRect(mask.image)
        box = slice(top, top + height), slice(left, left + width)
        cv2.copyTo(self.image[box], mask.image[box], before[box])
        self.image = before

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Positions as cv2's fixed-point numbers on the large picture."""
        scaled = (points + 0.5) * self.oversampling - 0.5
        return np.rint(scaled * (1 << _BITS)).astype(np.int32)

    def fill(self, points: np.ndarray, colour: Colour | float) -> None:
        """Fills a polygon [P, 2]."""
        cv2.fillPoly(self.image, [self.fixed(points)], colour, cv2.LINE_AA, _BITS)

    def line(self, points: np.ndarray, colour: Colour | float, width: float, closed: bool = False) -> None:
        """Draws a polyline [P, 2], or many [M, P, 2], ``width`` pixels wide."""
        lines = [self.fixed(points)] if points.ndim == 2 else list(self.fixed(points))
        cv2.polylines(self.image, lines, closed, colour, max(1, round(width * self.oversampling)), cv2.LINE_AA, _BITS)

    def ellipse(
        self, centre: np.ndarray, axes: tuple[float, float], colour: Colour | float, angle: float = 0.0
    ) -> None:
        """Fills an ellipse with half axes ``axes``, turned by ``angle`` degrees."""
        at, half = self.fixed(centre), [max(1, round(axis * self.oversampling * (1 << _BITS))) for axis in axes]
        cv2.ellipse(self.image, at.tolist(), half, angle, 0, 360, colour, -1, cv2.LINE_AA, _BITS)

    def blurred(self, radius: float) -> np.ndarray:
        """The picture blurred by ``radius`` pixels of the wanted size."""
        return cv2.GaussianBlur(self.image, (0, 0), max(radius * self.oversampling, 0.3))

    def multiply(self, relief: np.ndarray) -> None:
        """Multiplies by a one-channel picture in which 128 means unchanged."""
        self.image = cv2.multiply(self.image, cv2.cvtColor(relief, cv2.COLOR_GRAY2BGR), scale=1 / 128)

    def blend(self, colour: Colour, mask: np.ndarray) -> None:
        """Lays a colour over the picture where the one-channel mask is; 255 covers."""
        paint = np.empty_like(self.image)
        paint[:] = colour
        alpha = mask.astype(np.float32) / 255
        self.image = cv2.blendLinear(paint, self.image, alpha, 1 - alpha)

    def shrunk(self) -> np.ndarray:
        """The picture at the wanted size."""
        return cv2.resize(self.image, (self.size, self.size), interpolation=cv2.INTER_AREA)
