"""What tells a flipped bit of a pack: a CRC-32 of each image, and one of everything else.

Packs can be many gigabytes. So what a pack says of its images is compared when it is opened, and each image when it is
read for the first time; processes that a loader forks share what has been compared. `mmfer data pack` with a pack that
is there compares all of it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

IMAGE, IMAGE_SUMS, COLUMNS_SUM = 'image', 'image_crc', 'columns_crc'
"""Arrays of a pack: the images, the checksum of each, int64 [N], and that of all but the images, int64 [1]."""


def image_sums(images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Checksums int64 [n] of images uint8 [n, 3, H, W]."""
    return np.fromiter((zlib.crc32(np.ascontiguousarray(image).data) for image in images), np.int64, len(images))


def columns_sum(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> int:
    """The checksum of a pack without its images: metadata, and names, types, shapes and values of the arrays."""
    total = zlib.crc32(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(arrays.keys() - {IMAGE, COLUMNS_SUM}):
        array = np.ascontiguousarray(arrays[name])
        total = zlib.crc32(f'{name} {array.dtype.str} {array.shape}'.encode(), total)
        total = zlib.crc32(array.reshape(-1).view(np.uint8).data, total)
    return total


def check_columns(path: str | Path, metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> None:
    """What a pack says of its images is what was written.

    Raises:
        ValueError: It is not.
    """
    if [columns_sum(metadata, arrays)] != arrays[COLUMNS_SUM].tolist():
        raise ValueError(damage_of(path, 'what it says of its images'))


def damage_of(path: str | Path, what: str) -> str:
    """The sentence of a pack that differs from its checksums."""
    return (
        f'{path} is damaged: {what} differs from its checksum; copy it again, or pack again: python '
        f'tools/dataset_tools/pack.py CONFIG {path}'
    )
