"""A drawn face in the place of a real one, anywhere in a pipeline."""

from __future__ import annotations

import copy
import os.path as osp
from typing import Any

import cv2
import numpy as np
from PIL import Image
from torch import Tensor

Results = dict[str, Any]


def seen(results: Results | None) -> tuple[np.ndarray, np.ndarray] | None:
    """The picture as [C, H, W], bytes as shares of 255, and the landmarks; before and after packing."""
    if not results:
        return None
    image, landmarks = results.get('img'), results.get('landmarks')
    if 'inputs' in results:
        image, landmarks = results['inputs'], results['data_samples'].get('landmarks')
    if landmarks is None or not isinstance(image, np.ndarray | Tensor | Image.Image):
        return None
    first = isinstance(image, Tensor)
    image = np.asarray(image)
    if image.ndim != 3:
        image = image[None] if first else image[..., None]
    image = image if first else image.transpose(2, 0, 1)
    return np.ascontiguousarray(image / (255.0 if image.dtype == np.uint8 else 1.0), np.float32), np.array(landmarks)


def with_face(results: Results, picture: Tensor, points: Tensor, folder: str) -> Results:
    """The face that a step gets, with another picture [3, H, W] in [0, 1] and other landmarks."""
    results = copy.deepcopy(results)
    like = results.get('inputs', results.get('img'))
    if like is None:
        return {**results, **_on_disk(results, picture, folder), 'landmarks': points.numpy()}
    image: Any = picture if isinstance(like, Tensor) else picture.permute(1, 2, 0).numpy()
    if isinstance(like, Image.Image):
        image = Image.fromarray((255 * image).round().astype(np.uint8))
    elif str(like.dtype).endswith('uint8'):
        image = (255 * image).round()
        image = image.byte() if isinstance(image, Tensor) else image.astype(np.uint8)
    if 'inputs' in results:
        results['inputs'], results['data_samples'].landmarks = image, points
        return results
    shape = tuple(picture.shape[1:])
    return {**results, 'img': image, 'landmarks': points.numpy(), 'img_shape': shape, 'ori_shape': shape}


def _on_disk(results: Results, picture: Tensor, folder: str) -> Results:
    """The picture as a file; where faces lie in boxes it lies in one, too."""
    path = osp.join(folder, 'face.png')
    image = (255 * picture).round().byte().permute(1, 2, 0).numpy()
    height, width = image.shape[:2]
    inside = height // 4 if results.get('box') is not None else 0
    image = cv2.copyMakeBorder(image, inside, 0, inside, 0, cv2.BORDER_REPLICATE)
    if not cv2.imwrite(path, image):
        raise OSError(f'{path} cannot be written')
    box = dict(box=np.array([inside, inside, inside + width, inside + height])) if inside else {}
    return dict(img_path=path, **box)
