"""What a dataset gives out of its columns: faces, batches, labels, subsets."""

from __future__ import annotations

import copy
import hashlib
import os.path as osp
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from mmengine.dataset import force_full_init
from mmpretrain.datasets import BaseDataset

from mmfer.datasets.packing.batches import read_columns, readable_at_once, to_batch

Self = TypeVar('Self', bound='ColumnDataset')


class ColumnDataset(BaseDataset):
    """A dataset whose annotations are columns, arrays of equal length, not a list of dicts.

    284k rows load in seconds and workers share them. The constructor's arguments are MMEngine's.
    """

    IMAGE_FOLDER = ''
    """Folder of the images in ``data_root``; ``name`` is relative to it."""
    draws_labels = False
    """Whether training draws a face's label from its votes, anew in each epoch (``mmfer.DrawnLabelsHook``)."""
    _fully_initialized: bool  # MMEngine's

    def __init__(self, **kwargs: Any) -> None:
        self.columns: dict[str, np.ndarray] = {}  # filled by full_init()
        self._hashed: tuple[np.ndarray, np.ndarray, str] | None = None  # names, labels, and what they hash to
        super().__init__(**kwargs)

    @property
    def image_folder(self) -> str:
        """Where the images are."""
        return osp.join(self.data_root, self.IMAGE_FOLDER)

    @force_full_init
    def __len__(self) -> int:
        return len(self.columns['label'])

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What the pipeline gets for one face."""
        idx = range(len(self))[idx]
        columns = self.columns
        name = str(columns['name'][idx])
        path = osp.join(self.image_folder, str(columns['file'][idx]) if 'file' in columns else name)
        info = dict(img_path=path, gt_label=int(columns['label'][idx]), sample_idx=idx)
        if 'image' in columns:
            info['img'] = columns['image'][idx]
            if 'ori_shape' in columns:  # packed
                info['ori_shape'] = tuple(columns['ori_shape'][idx].tolist())
            else:
                info['img_path'] = name
        if 'box' in columns:
            info['box'] = columns['box'][idx].copy()
        if 'landmarks' in columns:
            info.update(landmarks=columns['landmarks'][idx].copy(), landmark_valid=bool(columns['landmark_valid'][idx]))
        if 'clean_label' in columns:
            info['clean_label'] = int(columns['clean_label'][idx])
        if 'score' in columns:
            info['gt_score'] = columns['score'][idx].copy()
        info.update({key: float(columns[key][idx]) for key in ('valence', 'arousal') if key in columns})
        return info

    @force_full_init
    def __getitems__(self, indices: Sequence[int]) -> Sequence[dict[str, Any]]:
        """The samples of a batch, for torch's loader: read at once where images lie in one array."""
        if readable_at_once(self):
            return to_batch(read_columns(self, indices))
        return [self[idx] for idx in indices]

    @force_full_init
    def get_gt_labels(self) -> np.ndarray:
        """Observed labels, int64 [N]."""
        return self.columns['label'].copy()

    @force_full_init
    def get_clean_labels(self) -> np.ndarray:
        """Labels before noise was added, int64 [N]; -1 where they are not known."""
        return self.columns.get('clean_label', np.full(len(self), -1, dtype=np.int64)).copy()

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """The observed label of one face, as MMEngine's ``ClassBalancedDataset`` wants it."""
        return [int(self.columns['label'][idx])]

    @property
    @force_full_init
    def has_landmarks(self) -> bool:
        """Whether faces come with landmarks."""
        return 'landmarks' in self.columns

    @force_full_init
    def fingerprint(self) -> str:
        """A hash of names and observed labels: what per-sample memory belongs to.

        It is kept, as every checkpoint asks for it, until there are other columns.
        """
        names, labels = self.columns['name'], self.columns['label']
        if self._hashed is not None and self._hashed[0] is names and self._hashed[1] is labels:
            return self._hashed[2]
        digest = hashlib.sha256()
        for start in range(0, len(names), 100_000):  # ten million names at once would be a gigabyte of str
            text = '\n'.join([*([''] if start else []), *names[start : start + 100_000].tolist()])
            digest.update(text.encode(errors='surrogateescape'))
        digest.update(b'\0')
        digest.update(np.ascontiguousarray(labels, dtype='<i8').data)
        self._hashed = (names, labels, digest.hexdigest())
        return self._hashed[2]

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keeps the first ``indices`` rows (the last, where negative), or those listed."""
        self.columns = {key: column[rows_of(indices)] for key, column in self.columns.items()}

    @force_full_init
    def get_subset(self: Self, indices: int | Sequence[int]) -> Self:
        """A copy with some of the rows."""
        subset = copy.copy(self)
        subset.get_subset_(indices)
        return subset


def rows_of(indices: int | Sequence[int] | None) -> slice | np.ndarray:
    """The first ``indices`` rows (the last, where negative), or those listed; None: all."""
    if indices is None or isinstance(indices, int):
        return slice(indices, None) if indices is not None and indices < 0 else slice(indices)
    return np.asarray(indices, dtype=np.int64)
