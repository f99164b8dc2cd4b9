"""Batches read at once, for datasets whose images lie in one array."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmfer.datasets.columns import Faces
from mmfer.datasets.packing.packed import moved_points
from mmfer.datasets.packing.packed_images import PackedImages
from mmfer.datasets.transforms.load_face import LoadFace
from mmfer.datasets.transforms.pack_face import PackFace
from mmfer.structures import FaceBatch

_META = ('img_path', 'ori_shape', 'img_shape')
_UNKNOWN = dict(landmarks=0, landmark_valid=False, clean_label=-1, valence=np.nan, arousal=np.nan)


@dataclass(frozen=True)
class ReadBatch(Sequence[dict[str, Any]]):
    """The samples of one batch, stacked already: a list of ``dict(inputs, data_samples)`` for any collate function.

    :func:`~mmfer.datasets.packing.collate.collate_faces` takes the two fields as they are.

    Args:
        inputs: uint8 [N, 3, H, W].
        data_samples: Their annotations.
    """

    inputs: Tensor
    data_samples: FaceBatch

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(inputs=self.inputs[index], data_samples=self.data_samples[index])


@dataclass(frozen=True)
class MetaColumns(Sequence[dict[str, Any]]):
    """Metainfo as columns: ``meta[i]`` makes the dict of one face when somebody asks for it.

    Args:
        columns: Arrays [N] of str or [N, 2] of int, by key.
    """

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns['img_path'])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return MetaColumns({key: column[index] for key, column in self.columns.items()})
        return {
            key: str(column[index]) if column.ndim == 1 else tuple(column[index].tolist())
            for key, column in self.columns.items()
        }


def readable_at_once(dataset: Faces) -> bool:
    """Whether images lie in one array, and nothing is done to a face but what :func:`read_columns` does."""
    steps, image = dataset.pipeline.transforms, dataset.columns.get('image')
    base = next(cls for cls in type(dataset).__mro__ if '__getitems__' in vars(cls))
    overridden = any(
        getattr(type(dataset), name) is not getattr(base, name)
        for name in ('__getitem__', 'prepare_data', 'get_data_info')
    )
    return (
        image is not None
        and not overridden
        and [type(step) for step in steps] == [LoadFace, PackFace]
        and steps[0].size in (None, image.shape[1:3])
    )


def rows_of(indices: Sequence[int], total: int) -> np.ndarray:
    """Indices as rows int64 [n] from 0 to ``total`` - 1; negative ones count from the end.

    Raises:
        IndexError: One is out of range.
    """
    rows = np.asarray(indices, dtype=np.int64)
    beyond = rows[(rows < -total) | (rows >= total)]
    if len(beyond):
        raise IndexError(f'there are {total:,} faces, but those asked for include {beyond[0]}')
    return rows % total


def read_columns(dataset: Faces, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """What a batch is made of: ``inputs`` uint8 [n, 3, H, W], the columns of a FaceBatch, and metainfo."""
    columns, image = dataset.columns, dataset.columns['image']
    rows = rows_of(indices, len(dataset))
    packed = isinstance(image, PackedImages)
    shape = np.broadcast_to(image.shape[1:3], (len(rows), 2))
    name = columns['name' if 'file' not in columns else 'file'][rows]
    present = {field.name for field in fields(FaceBatch)} & columns.keys()
    return {
        **{key: columns[key][rows] for key in sorted(present)},
        'sample_idx': rows,
        'inputs': image.read(rows) if packed else np.ascontiguousarray(image[rows].transpose(0, 3, 1, 2)),
        'img_path': np.strings.add(osp.join(dataset.image_folder, ''), name) if packed else name,
        'ori_shape': columns['ori_shape'][rows] if packed else shape,
        'img_shape': shape,
    }


def join_columns(parts: Sequence[dict[str, np.ndarray]], likes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Batches of several datasets, one after the other; what only some of them know is filled as a FaceBatch does.

    Args:
        parts: What :func:`read_columns` gave.
        likes: Columns that the batch must have even where no part has them: an array of that kind each.
    """
    likes = {**likes, **{key: column for part in parts for key, column in part.items()}}
    return {
        key: np.concatenate([part[key] if key in part else _unknown(key, part, like) for part in parts])
        for key, like in likes.items()
    }


def _unknown(key: str, part: dict[str, np.ndarray], like: np.ndarray) -> np.ndarray:
    if key == 'score':
        return np.eye(like.shape[1], dtype=like.dtype)[part['label']]
    column = np.full((len(part['label']), *like.shape[1:]), _UNKNOWN[key], like.dtype)
    # To the bit as if they had come one by one: LoadFace moves the zeros, too.
    return moved_points(column, part['ori_shape'], part['img_shape']) if key == 'landmarks' else column


def to_batch(columns: dict[str, np.ndarray]) -> ReadBatch:
    """Tensors of what :func:`read_columns` gave."""
    meta = MetaColumns({key: columns[key] for key in _META})
    tensors = {key: torch.from_numpy(column) for key, column in columns.items() if key not in _META}
    return ReadBatch(tensors.pop('inputs'), FaceBatch(**tensors, metainfo=meta))
