"""Drawn faces, whose landmarks are known, alone and pasted into scenes."""

from functools import cache

import cv2
import numpy as np

from mmfer.datasets import SyntheticFaces


@cache
def drawn_faces(count: int = 12, size: int = 128) -> tuple[list[np.ndarray], np.ndarray]:
    """RGB uint8 [size, size, 3] and their landmarks [count, 68, 2]."""
    faces = SyntheticFaces(split='test', num=count, size=size, cache_dir=None)
    samples = [faces.get_data_info(row) for row in range(count)]
    return [np.ascontiguousarray(s['img'][..., ::-1]) for s in samples], np.stack([s['landmarks'] for s in samples])


def scene(corners: list[tuple[int, int]], sides: list[int], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A soft ground with drawn faces at these upper left corners (x, y): RGB, and their landmarks."""
    random = np.random.default_rng(0)
    ground = random.integers(60, 200, (shape[0] // 16, shape[1] // 16, 3), dtype=np.uint8)
    picture = cv2.resize(ground, shape[::-1], interpolation=cv2.INTER_CUBIC)
    faces, points = drawn_faces()
    placed = []
    for row, ((x, y), side) in enumerate(zip(corners, sides, strict=True)):
        picture[y : y + side, x : x + side] = cv2.resize(faces[row], (side, side), interpolation=cv2.INTER_AREA)
        placed.append((points[row] + 0.5) * side / 128 - 0.5 + (x, y))
    return picture, np.stack(placed)
