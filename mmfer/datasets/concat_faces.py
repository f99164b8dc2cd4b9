"""Several datasets as one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import ConcatDataset, force_full_init

from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.labels.schema import is_same_order, order_name
from mmfer.datasets.packing.batches import join_columns, read_columns, readable_at_once, rows_of, to_batch
from mmfer.registry import DATASETS

_SHARED = ('landmarks', 'landmark_valid', 'score', 'valence', 'arousal')


@DATASETS.register_module()
class ConcatFaces(ConcatDataset):
    """Datasets of faces one after the other, with a ``sample_idx`` that is unique over all of them.

    MMEngine's ``ConcatDataset`` hands on each dataset's own index, so that two faces would share a row of every
    per-sample memory. The datasets must have the same classes; ``metainfo=dict(classes=...)`` of each maps them.

    Args:
        datasets: Datasets or their configs.
        lazy_init: Do not read the annotations yet. Defaults to False.
    """

    def __init__(self, datasets: Sequence[Any], lazy_init: bool = False):
        super().__init__(datasets, lazy_init, ignore_keys='classes')  # compared by what they mean, and once known

    def full_init(self) -> None:
        """Reads the annotations of all.

        Raises:
            ValueError: Some count other classes than the first, or the same in another order.
        """
        super().full_init()
        first = self.datasets[0]
        self._metainfo = first.metainfo
        classes = self._metainfo.get('classes') or ()
        for i, dataset in enumerate(self.datasets[1:], 2):
            others = dataset.metainfo.get('classes') or ()
            if not is_same_order(classes, others):
                raise ValueError(
                    f'dataset {i} of ConcatFaces ({type(dataset).__name__}) does not match the first '
                    f'({type(first).__name__}): it counts the classes {", ".join(others)}, and not '
                    f'{", ".join(classes)}; let it map them by name, with '
                    f"metainfo=dict(classes='{order_name(classes)}') in its config"
                )

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What the pipeline gets for one face."""
        idx = range(len(self))[idx]
        which, local = self._get_ori_dataset_idx(idx)
        info = {**self.datasets[which].get_data_info(local), 'sample_idx': idx}
        # A batch must have the same columns whichever dataset its faces come from.
        if self.has_landmarks and 'landmarks' not in info:
            info.update(landmarks=np.zeros((68, 2), np.float32), landmark_valid=False)
        if 'gt_score' not in info and any('score' in dataset.columns for dataset in self.datasets):
            info['gt_score'] = np.eye(len(self.metainfo['classes']), dtype=np.float32)[info['gt_label']]
        for key in ('valence', 'arousal'):
            if key not in info and any(key in dataset.columns for dataset in self.datasets):
                info[key] = float('nan')
        return info

    def __getitem__(self, idx: int) -> dict[str, Any]:
        which, _ = self._get_ori_dataset_idx(idx)
        return self.datasets[which].pipeline(self.get_data_info(idx))

    @force_full_init
    def __getitems__(self, indices: Sequence[int]) -> Sequence[dict[str, Any]]:
        """The samples of a batch, for torch's loader: read at once where all datasets can be."""
        datasets = self.datasets
        if (
            not all(isinstance(dataset, FaceDataset) and readable_at_once(dataset) for dataset in datasets)
            or len({dataset.columns['image'].shape[1:3] for dataset in datasets}) > 1
        ):
            return [self[idx] for idx in indices]
        rows = rows_of(indices, len(self))
        which = np.searchsorted(self.cumulative_sizes, rows, side='right')
        starts = np.array([0, *self.cumulative_sizes])[which]
        parts = [read_columns(datasets[i], (rows - starts)[which == i]) for i in np.unique(which)]
        # Those that every batch has whichever dataset its faces come from, as in get_data_info.
        likes = {key: dataset.columns[key] for dataset in datasets for key in _SHARED if key in dataset.columns}
        back = np.argsort(np.argsort(which, kind='stable'))
        batch = {key: column[back] for key, column in join_columns(parts, likes).items()}
        return to_batch({**batch, 'sample_idx': rows})

    @force_full_init
    def get_gt_labels(self) -> np.ndarray:
        """Observed labels, int64 [N]."""
        return np.concatenate([dataset.get_gt_labels() for dataset in self.datasets])

    @force_full_init
    def get_clean_labels(self) -> np.ndarray:
        """Labels before noise was added, int64 [N]; -1 where they are not known."""
        return np.concatenate([dataset.get_clean_labels() for dataset in self.datasets])

    @property
    @force_full_init
    def has_landmarks(self) -> bool:
        """Whether any of the datasets comes with landmarks; faces of the others are marked as without."""
        return any(dataset.has_landmarks for dataset in self.datasets)

    @force_full_init
    def fingerprint(self) -> str:
        """A hash of the datasets' fingerprints, in order."""
        return hashlib.sha256('\n'.join(dataset.fingerprint() for dataset in self.datasets).encode()).hexdigest()
