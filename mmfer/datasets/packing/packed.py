"""Packed images as a column of a dataset, once they are known to be those of its source."""

from __future__ import annotations

import hashlib
import os
import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.columns import Faces
from mmfer.datasets.labels.schema import stored_classes
from mmfer.datasets.packing.checksums import check_columns
from mmfer.datasets.packing.pack_file import read_pack, split_names
from mmfer.datasets.packing.packed_images import PackedImages
from mmfer.datasets.reading.files import name_a_few
from mmfer.datasets.reading.names import normal_names
from mmfer.datasets.transforms.load_face import LoadFace, move_points

Columns = dict[str, Any]
_OF_A_FACE = dict(label=(), bytes=(), mtime=(), hash=(), ori_shape=(2,), box=(4,))
"""Arrays of a pack, besides names and images, and their shape of one face; boxes only where images hold several."""


def add_packed(columns: Columns, path: str, dataset: Faces) -> Columns:
    """Adds ``image`` and ``ori_shape`` from a pack that belongs to these rows.

    A file whose size differs has been replaced; one whose time alone differs is read and compared by its hash, as git
    does: a copied folder is the same source, an overwritten image is not.

    Args:
        columns: Those of the dataset, and ``source_label``, the labels as the label file has them.
        path: The pack.
        dataset: Whose rows they are; its pipeline must ask for the size that was packed.

    Raises:
        FileNotFoundError: There is no such pack.
        ValueError: The pack is damaged, has another size, lacks an image, or the source has changed since.
    """
    if 'image' in columns:
        raise ValueError(f'{type(dataset).__name__} has its images in memory already; take packed={path!r} out')
    again = f'pack again: python tools/dataset_tools/pack.py CONFIG {path}'
    folder, (metadata, pack) = dataset.image_folder, read_pack(path)
    packed_names = split_names(pack['name']) if 'name' in pack else []
    known = all(
        key in pack and pack[key].shape == (len(packed_names), *shape)
        for key, shape in _OF_A_FACE.items()
        if key != 'box' or key in columns
    )
    images_known = 'image' in pack and pack['image'].ndim == 4 and pack['image'].shape[:2] == (len(packed_names), 3)
    if 'classes' not in metadata or not known or not images_known:
        raise ValueError(f'{path} lacks what is to be known of its faces, as no pack of mmfer does; {again}')
    check_columns(path, metadata, pack)
    images, names = PackedImages(path), columns['name'].tolist()
    classes = stored_classes(metadata['classes'], f'the classes of {path}')
    if classes != list(dataset.source_classes):
        raise ValueError(
            f'{path} is of the classes {", ".join(classes)[:500]}, but {type(dataset).__name__} has '
            f'{", ".join(dataset.source_classes)}; {again}'
        )
    row_of = {name: row for row, name in enumerate(normal_names(packed_names))}
    rows = np.array([row_of.get(name, -1) for name in normal_names(names)], dtype=np.int64)
    if (rows < 0).any():
        raise ValueError(f'{path} lacks {_some(rows < 0, names)}, which {folder} has; {again}')
    changed = pack['label'][rows] != columns['source_label']
    if changed.any():
        raise ValueError(f'the labels of {_some(changed, names)} have changed since {path} was packed; {again}')
    if 'box' in columns:
        changed = (pack['box'][rows] != columns['box']).any(axis=1)
        if changed.any():
            raise ValueError(f'the boxes of {_some(changed, names)} have changed since {path} was packed; {again}')
    ori_shape = pack['ori_shape'][rows]
    _require_size(path, images.shape[1:3], ori_shape, dataset.pipeline.transforms)
    files = columns['file' if 'file' in columns else 'name'].tolist()
    changed = _changed(folder, files, *(pack[key][rows] for key in ('bytes', 'mtime', 'hash')))
    if changed.any():
        raise ValueError(f'{_some(changed, files)} in {folder} have changed since {path} was packed; {again}')
    columns = {key: column for key, column in columns.items() if key != 'box'}  # packed is what was inside
    return {**columns, 'image': images[rows], 'ori_shape': ori_shape}


def move_landmarks(columns: Columns) -> Columns:
    """Landmarks from pixels of the files to pixels of the packed images, to the bit as LoadFace moves them."""
    if 'landmarks' not in columns or 'ori_shape' not in columns:
        return columns
    after = np.broadcast_to(columns['image'].shape[1:3], columns['ori_shape'].shape)
    return {**columns, 'landmarks': moved_points(columns['landmarks'], columns['ori_shape'], after)}


def moved_points(points: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Points float32 [N, L, 2] of images of N sizes [N, 2] at N others; of those whose size stays, unchanged."""
    resized = (before != after).any(axis=1)
    points = points.copy()
    points[resized] = move_points(points[resized], before[resized], after[resized])
    return points


def content_hash(data: bytes) -> int:
    """Eight bytes of BLAKE2b as a signed number."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), 'little', signed=True)


def file_stamps(folder: str, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sizes in bytes and times of the last change in ns of files, int64 [N] each; -1 where there is none."""
    stamps = np.full((2, len(names)), -1, dtype=np.int64)
    for i, name in enumerate(names):
        try:
            entry = os.stat(osp.join(folder, name))
        except OSError:
            continue
        stamps[:, i] = entry.st_size, entry.st_mtime_ns
    return stamps[0], stamps[1]


def _changed(folder: str, names: list[str], size: np.ndarray, time: np.ndarray, digest: np.ndarray) -> np.ndarray:
    """Which files are not what was packed, bool [N]."""
    size_now, time_now = file_stamps(folder, names)
    changed = size_now != size
    touched = np.flatnonzero(~changed & (time_now != time))
    for i in touched:
        with open(osp.join(folder, names[i]), 'rb') as stream:
            changed[i] = content_hash(stream.read()) != digest[i]
    if len(touched) and not changed.any():
        print_log(
            f'{len(touched):,} images have another time than when they were packed, and the same content, which '
            'takes reading them; pack again to spare that',
            logger='current',
        )
    return changed


def _require_size(path: str, shape: tuple[int, int], ori_shape: np.ndarray, transforms: Sequence[Any]) -> None:
    if not transforms:
        return
    load = transforms[0]
    if not isinstance(load, LoadFace):
        raise ValueError(
            f'packed={path!r} is read by mmfer.LoadFace, but the pipeline begins with {load}; '
            'begin it with mmfer.LoadFace, or take packed=... out'
        )
    packed = f'{shape[0]} x {shape[1]} pixels'
    if load.size is None and (ori_shape != shape).any():
        raise ValueError(
            f'{path} has images of {packed}, but LoadFace leaves them as they are stored, which is '
            f'another size; give dict(type=mmfer.LoadFace, size={shape}), or take packed=... out'
        )
    if load.size not in (None, shape):
        raise ValueError(
            f'{path} has images of {packed}, but the pipeline asks for LoadFace(size={load.size}); '
            f'set the size that is packed, or pack that size: python tools/dataset_tools/pack.py CONFIG '
            f'{path} --size {load.size[0]}'
        )


def _some(which: np.ndarray, names: Sequence[str]) -> str:
    chosen = [names[i] for i in np.flatnonzero(which).tolist()]
    return f'{len(chosen):,} of {len(names):,} images ({name_a_few(chosen)})'
