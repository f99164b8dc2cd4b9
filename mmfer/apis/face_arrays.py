"""Faces in memory as the network's pipeline takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def as_face(image: Any) -> np.ndarray:
    """A face or photo in memory as BGR uint8 [H, W, 3].

    Grey ones get three equal channels, a fourth channel (transparency) is left out, as when files are read. What could
    be meant in two ways is refused: a network sees a face in [0, 1] as black, and answers all the same.

    Args:
        image: uint8 [H, W], [H, W, 1], [H, W, 3] in BGR, or [H, W, 4] in BGRA.

    Raises:
        ValueError: It is none of these; the cure is named.
    """
    if not isinstance(image, np.ndarray):
        raise ValueError(
            f'a face must be a NumPy array, BGR uint8 [H, W, 3], got a {type(image).__name__}: read files with '
            'cv2.imread; of RGB (PIL, torchvision) take np.asarray(image)[..., ::-1]'
        )
    if image.dtype != np.uint8:
        raise ValueError(f'a face must be uint8 with values from 0 to 255, got {image.dtype}: {_cure(image)}')
    if image.ndim == 3 and image.shape[2] not in (1, 3, 4) and image.shape[0] in (1, 3, 4):
        raise ValueError(
            f'a face must have its channels last, [H, W, 3], got {list(image.shape)}: give image.transpose(1, 2, 0)'
        )
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(f'a face must be [H, W, 3], or [H, W] where it is grey, got {list(image.shape)}')
    if 0 in image.shape:
        raise ValueError(
            f'a face must have pixels, got an empty array {list(image.shape)}: was it cut out beside the photo?'
        )
    if image.max() == 1:
        raise ValueError(
            'the values of a face are 0 and 1, which is black: where floats in [0, 1] were cast, give '
            '(image * 255).round().astype(np.uint8) of them'
        )
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return image[..., :3]


def as_faces(images: Any) -> Sequence[Any]:
    """Several faces; one alone, or a path, is told apart from a list of them.

    Raises:
        ValueError: It is one face, or no sequence.
    """
    if isinstance(images, np.ndarray):
        one = images.ndim < 3 or (images.ndim == 3 and (images.shape[2] in (1, 3, 4) or images.shape[0] in (1, 3, 4)))
        if one:
            raise ValueError(f'give a list of faces, [face], got one array {list(images.shape)}')
    elif isinstance(images, str | bytes) or not isinstance(images, Sequence):
        raise ValueError(
            f'give a list of faces in memory, got a {type(images).__name__}; files are for predict_pictures'
        )
    return images


def _cure(image: np.ndarray) -> str:
    if image.size and np.issubdtype(image.dtype, np.floating):
        low, high = float(image.min()), float(image.max())
        if low >= 0 and high <= 1:
            return f'its values lie in [{low:.3g}, {high:.3g}], give (image * 255).round().astype(np.uint8)'
        if low >= 0 and high <= 255:
            return f'its values lie in [{low:.3g}, {high:.3g}], give image.round().astype(np.uint8)'
        return f'its values lie in [{low:.3g}, {high:.3g}], give the picture as it was before it was normalised'
    if image.dtype == bool:
        return 'it is a mask, and no picture; give image.astype(np.uint8) * 255, if black and white is meant'
    if image.dtype == np.uint16 and image.size and image.max() > 255:
        return 'give (image >> 8).astype(np.uint8)'
    return 'give image.astype(np.uint8), if its values lie in 0 to 255'
