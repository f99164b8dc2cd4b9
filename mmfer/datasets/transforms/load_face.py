"""Reads one face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmfer.datasets.images.pictures import read_picture
from mmfer.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadFace(BaseTransform):
    """Reads a face as BGR uint8 [H, W, 3], from ``img_path``, or from ``img`` where pictures live in memory.

    Where the image holds several faces, ``box`` (x0, y0, x1, y1) says which part is read.

    Args:
        size: Height and width to resize to, ``int`` for a square; landmarks move along. Defaults to None: as stored.
            Prefer the stored size where all images share one: resizing small images is cheaper on the device,
            after augmentation.

    Landmarks follow the convention that pixel centres lie at integers, so a point moves to
    ``(x + .5) * new / old - .5``.
    """

    def __init__(self, size: int | tuple[int, int] | None = None):
        size = (size, size) if isinstance(size, int) else size
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f'LoadFace(size=...) must be a positive int or (height, width), got {size}')
        self.size = None if size is None else (int(size[0]), int(size[1]))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``img``, ``ori_shape`` and ``img_shape``."""
        image = results.get('img')
        if image is None:
            image = read_picture(results['img_path'])
            if results.get('box') is not None:
                image = _inside(image, results['box'], results['img_path'])
        results.setdefault('ori_shape', image.shape[:2])  # a packed image knows what it was
        if self.size is not None and image.shape[:2] != self.size:
            if results.get('landmarks') is not None:
                results['landmarks'] = move_points(results['landmarks'], image.shape[:2], self.size)
            # Area averaging is right for shrinking only; enlarging with it gives blocks.
            shrinks = self.size[0] <= image.shape[0] and self.size[1] <= image.shape[1]
            image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        results['img'], results['img_shape'] = image, image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'


def move_points(points: np.ndarray, before: np.ndarray | Sequence[int], after: Sequence[int]) -> np.ndarray:
    """Points of images of one size on the same images at another; pixel centres lie at integers.

    Args:
        points: (x, y), float32 [..., L, 2].
        before: Heights and widths, [..., 2].
        after: The new height and width.
    """
    scale = (np.asarray(after) / np.asarray(before))[..., None, ::-1].astype(np.float32)
    return (points + np.float32(0.5)) * scale - np.float32(0.5)


def _inside(image: np.ndarray, box: np.ndarray, path: str) -> np.ndarray:
    x0, y0, x1, y1 = np.maximum(box, 0)
    if not (x0 < min(x1, image.shape[1]) and y0 < min(y1, image.shape[0])):
        raise ValueError(
            f'the box {box.tolist()} of a face lies outside {path}, which is {image.shape[0]} x '
            f'{image.shape[1]}; correct its row in the label file, or take it out'
        )
    return image[y0:y1, x0:x1]
