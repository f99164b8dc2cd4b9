"""Reads one face."""
from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmfer.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadFace(BaseTransform):
    """Reads a face as BGR uint8 [H, W, 3], from ``img_path``, or from ``img`` where pictures live in memory.

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

    def transform(self, results: dict) -> dict:
        """Adds ``img``, ``ori_shape`` and ``img_shape``."""
        image = results.get('img')
        if image is None:
            image = _read(results['img_path'])
        results['ori_shape'] = image.shape[:2]
        if self.size is not None and image.shape[:2] != self.size:
            if results.get('landmarks') is not None:
                scale = np.array([self.size[1] / image.shape[1], self.size[0] / image.shape[0]], dtype=np.float32)
                results['landmarks'] = (results['landmarks'] + np.float32(.5)) * scale - np.float32(.5)
            # Area averaging is right for shrinking only; enlarging with it gives blocks.
            shrinks = self.size[0] <= image.shape[0] and self.size[1] <= image.shape[1]
            image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        results['img'], results['img_shape'] = image, image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'


def _read(path: str) -> np.ndarray:
    # Bytes first: cv2.imread takes no non-ASCII paths on Windows and cannot tell a missing file from a broken one.
    try:
        with open(path, 'rb') as stream:
            data = np.frombuffer(stream.read(), dtype=np.uint8)
    except FileNotFoundError:
        raise FileNotFoundError(f'image {path} is missing; restore it or take its row out of the label file') from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ValueError(f'{path} ({data.size} bytes) cannot be read as an image; restore it from its source')
    return image
