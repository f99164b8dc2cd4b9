"""Packed images as a column."""

from __future__ import annotations

import os.path as osp
from mmap import mmap
from typing import Any, overload

import numpy as np

from mmfer.datasets.packing.checksums import IMAGE, IMAGE_SUMS, damage_of, image_sums
from mmfer.datasets.packing.pack_file import read_pack, split_names
from mmfer.structures.printable import printable_name


class PackedImages:
    """Rows of the memory-mapped images of a pack, as a column.

    ``column[i]`` is one image, BGR uint8 [H, W, 3]; slices, masks and ids give a column of fewer rows without
    reading an image; ``read(rows)`` reads many at once; both raise ValueError where one differs from its checksum.
    Pickles as the path, so that workers share the memory map.

    Args:
        path: The pack.
        rows: Which of its images, int64 [N]. Defaults to None: all.
    """

    def __init__(self, path: str, rows: np.ndarray | None = None):
        self.path = osp.abspath(path)
        arrays = read_pack(path)[1]
        self._images, self._sums = arrays[IMAGE], arrays[IMAGE_SUMS]
        # Which images were compared with their checksums, shared with the processes that are forked later.
        self._compared = np.frombuffer(mmap(-1, max(len(self._images), 1)), np.uint8)
        self.rows = np.arange(len(self._images)) if rows is None else rows

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """[N, H, W, 3]."""
        _, channels, height, width = self._images.shape
        return len(self.rows), height, width, channels

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice | np.ndarray) -> PackedImages: ...

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray | PackedImages:
        rows = self.rows[index]
        if isinstance(rows, np.ndarray):
            return PackedImages(self.path, rows)
        return self._read(rows[None])[0].transpose(1, 2, 0).copy()  # a transform may write into what it gets

    def read(self, rows: np.ndarray) -> np.ndarray:
        """A copy of the images of some rows, uint8 [n, 3, H, W]."""
        return self._read(self.rows[rows])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        images = self._images.take(rows, axis=0)
        new = np.flatnonzero(self._compared[rows] == 0)
        wrong = new[image_sums(images[new]) != self._sums[rows[new]]]
        if len(wrong):
            name = split_names(read_pack(self.path)[1]['name'])[rows[wrong[0]]]
            raise ValueError(damage_of(self.path, f'the image {printable_name(name)}'))
        self._compared[rows] = 1
        return images

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.rows)
