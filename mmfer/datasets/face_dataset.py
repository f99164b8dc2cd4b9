"""The base of every dataset of faces."""

from __future__ import annotations

import os.path as osp
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.logging import print_log

from mmfer.datasets.column_dataset import ColumnDataset, rows_of
from mmfer.datasets.columns import add_noise, check_columns, check_labels, map_classes, take
from mmfer.datasets.images.bad_images import BadImage, usable_images
from mmfer.datasets.labels.schema import class_names
from mmfer.datasets.landmarks.landmark_file import add_landmarks
from mmfer.datasets.packing.packed import add_packed, move_landmarks
from mmfer.datasets.reading.files import require_paths
from mmfer.datasets.splits import check_split, rows_of_split
from mmfer.datasets.transforms.pipeline_check import check_pipeline
from mmfer.registry import DATASETS


@DATASETS.register_module()
class FaceDataset(ColumnDataset):
    """Faces with labels and, where there are any, landmarks, votes, identities and clean labels.

    A format implements :meth:`load_columns` and says what its classes are; how they are read, checked and put in order
    is here, and what is given out of them in :class:`~mmfer.datasets.column_dataset.ColumnDataset`.

    Args:
        data_root: Folder of the dataset. Defaults to ''.
        split: 'train', 'val' or 'test'. Defaults to 'train'.
        landmarks: Landmark file or folder, relative to ``data_root`` (:mod:`mmfer.datasets.landmarks.landmark_file`).
            Defaults to None: those the format brings along, if any.
        label_noise: ``dict(kind='symmetric' | 'asymmetric', rate=.3, seed=0)``, with ``confusions`` for asymmetric
            noise of your own, or ``dict(kind='manifest', file='noise.csv')`` (docs/noise.md); training rows only.
            Observed labels change, ``clean_label`` keeps the original; votes are left out, they would give the noise
            away. ``kind='corrections'`` reads a manifest as better labels (docs/audit.md).
        holdout: ``dict(fraction=.1, seed=0)`` splits the training rows by class, and by identity where known:
            ``split='train'`` keeps the rest, ``split='val'`` has those held out, never with added noise, in place of a
            validation split of the dataset's own. ``dict(folds=5, fold=0, seed=0)`` holds out one of five parts.
        drop_classes: Classes whose faces are left out on purpose, where ``metainfo=dict(classes=...)`` has fewer.
        packed: File of these images, decoded and at the pipeline's size, from ``tools/dataset_tools/pack.py``; training
            is the same, only reading is faster. Defaults to None.
        on_bad_image: What to do about images that are missing, damaged, animated, huge or none: 'raise' (default) one
            list of all of them before training starts, or 'skip' them and log the list.
        indices: The first ``n`` rows, or those listed. Defaults to None: all.
        pipeline: Transforms of one face; usually ``mmfer.LoadFace`` and ``mmfer.PackFace``. Where there are landmarks,
            others may change colours, but not move the picture alone: it is measured.
        test_mode: As in MMEngine. Defaults to False.
        lazy_init: Do not read the annotations yet. Defaults to False.
        metainfo: ``dict(classes=...)`` asks for another order or naming of the classes; labels are mapped by name.
            A list of names, or the name of an order: ``dict(classes='rafdb')``
            (:data:`mmfer.datasets.labels.schema.ORDERS`).
    """

    SPLITS: tuple[str, ...] = ('train', 'test')
    """Splits that the format itself has."""
    REQUIRED: tuple[str, ...] = ()
    """Files and folders of ``data_root`` without which nothing can be read."""
    HOW_TO_GET = 'put the dataset there'
    parted = True
    """Whether the format itself says which split a face is of; otherwise all are of the one that is asked for."""
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = {}
    """Published number of faces of each split: one a class, or only their sum."""

    def __init__(
        self,
        data_root: str = '',
        split: str = 'train',
        landmarks: str | None = None,
        label_noise: Mapping[str, Any] | None = None,
        holdout: Mapping[str, Any] | None = None,
        pipeline: Sequence[Any] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        metainfo: Mapping[str, Any] | None = None,
        drop_classes: Collection[str] = (),
        indices: int | Sequence[int] | None = None,
        packed: str | None = None,
        on_bad_image: str = 'raise',
    ):
        check_split(type(self).__name__, split, self.SPLITS, holdout, label_noise)
        if on_bad_image not in ('raise', 'skip'):
            raise ValueError(f"on_bad_image must be 'raise' or 'skip', got {on_bad_image!r}")
        self.split, self.landmarks, self.label_noise, self.holdout = split, landmarks, label_noise, holdout
        self.source_split = 'train' if split == 'val' and holdout is not None else split
        self.drop_classes, self.packed, self.on_bad_image = drop_classes, packed, on_bad_image
        self.source_classes = tuple(self.METAINFO.get('classes', ()))  # of the ids that load_columns() gives
        self.label_file: str | None = None  # what the column 'line' counts in
        self.bad_images: list[BadImage] = []  # those left out
        if metainfo is not None and isinstance(metainfo.get('classes'), str):
            metainfo = {**metainfo, 'classes': class_names(metainfo['classes'])}
        if metainfo is not None and not all(isinstance(name, str) for name in metainfo.get('classes') or ()):
            raise ValueError(
                f"metainfo=dict(classes=...) must be names, or the name of an order such as 'rafdb', got "
                f'{metainfo["classes"]!r}'
            )
        super().__init__(
            ann_file='',
            metainfo=metainfo,
            data_root=osp.expanduser(data_root),
            pipeline=pipeline,
            indices=indices,
            serialize_data=False,
            test_mode=test_mode,
            lazy_init=lazy_init,
        )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads the rows of ``self.source_split``: what a format implements.

        Returns:
            ``name`` [N] str relative to ``image_folder``, each once, ``label`` int64 [N], ids of ``source_classes``,
            which are ``METAINFO['classes']`` unless the format sets them here; where known ``score`` float32 [N, K]
            (votes as shares), ``identity`` [N], ``clean_label`` int64 [N] (-1: unknown), ``valence`` and ``arousal``
            float32 [N] in [-1, 1] (nan: unknown), ``image`` uint8 [N, H, W, 3] BGR, ``landmarks`` float32
            [N, 68, 2], ``landmark_score`` float32 [N], ``line`` int32 [N] in ``self.label_file``, counted from 1.
            Where images hold several faces, ``file`` [N] is the image and ``box`` int32 [N, 4] the face in it as
            (x0, y0, x1, y1); its landmarks are in pixels of what is inside the box. ``file`` is set here, too, where
            images are there under names that are spelt otherwise.
        """
        raise NotImplementedError(f'{type(self).__name__} must implement load_columns()')

    def full_init(self) -> None:
        """Reads and checks everything but the pictures."""
        if self._fully_initialized:
            return
        require_paths(type(self).__name__, self.data_root, self.REQUIRED, self.HOW_TO_GET)
        columns = check_columns(self.load_columns())
        columns['source_label'] = columns['label']
        self._metainfo['classes'] = tuple(self._metainfo.get('classes') or self.source_classes)
        if self.source_classes:
            check_labels(columns, self.source_classes, type(self).__name__)
        read = len(columns['label'])
        columns = map_classes(columns, self.source_classes, self._metainfo['classes'], self.drop_classes)
        if self.drop_classes:
            print_log(
                f'{type(self).__name__} {self.split}: drop_classes leaves out {read - len(columns["label"]):,} of '
                f'{read:,} faces ({", ".join(self.drop_classes)})',
                logger='current',
            )
        rows = rows_of_split(columns, self.split, self.source_split, self.holdout)
        # Noise before rows are taken, so that a row's noise does not depend on which others are held out.
        if self.label_noise is not None:
            columns = add_noise(columns, self._metainfo['classes'], **self.label_noise)
        columns = take(take(columns, rows), rows_of(self._indices))
        if not len(columns['label']):
            raise ValueError(
                f'{type(self).__name__} has no face for split={self.split!r} in {self.data_root!r} with '
                f'holdout={self.holdout} and indices={self._indices}; see what its label file lists'
            )
        if 'image' not in columns:
            columns, self.bad_images = usable_images(
                columns, self.image_folder, f'{type(self).__name__} {self.split}', self.label_file, self.on_bad_image
            )
        if self.packed is not None:
            columns = add_packed(columns, osp.expanduser(self.packed), self)
        del columns['source_label']
        path = None if self.landmarks is None else osp.join(self.data_root, osp.expanduser(self.landmarks))
        self.columns = move_landmarks(add_landmarks(columns, path))
        self._fully_initialized = True
        check_pipeline(self)

    @force_full_init
    def summary(self) -> str:
        """How many faces there are, of each class and with landmarks, and the noise that was put on their labels."""
        labels = self.columns['label']
        names = self.metainfo.get('classes') or range(int(labels.max()) + 1)
        counts = np.bincount(labels, minlength=len(names))
        classes = ', '.join(f'{name} {count:,}' for name, count in zip(names, counts, strict=True))
        text = f'{type(self).__name__} {self.split}: {len(labels):,} faces ({classes})'
        if 'landmark_valid' in self.columns:
            text += f', {int(self.columns["landmark_valid"].sum()):,} with landmarks'
            found = self.columns['landmark_score'] > 0
            for count, why in (((~found).sum(), 'not found'), ((found & ~self.columns['landmark_valid']).sum(), 'NaN')):
                text += f', {count:,} {why}' if count else ''
        added = self.label_noise
        if added is not None and added['kind'] == 'corrections':
            text += f', labels corrected by {added["file"]}'
            added = None
        if 'clean_label' in self.columns and (self.columns['clean_label'] >= 0).any():
            text += f', {self._noise(added)}'
        if self.draws_labels and 'score' in self.columns:
            text += ', labels drawn anew from the votes in each epoch'
        return text

    def _noise(self, added: Mapping[str, Any] | None) -> str:
        clean = self.columns['clean_label']
        known = clean >= 0
        rate = (self.columns['label'] != clean)[known].mean()
        text = 'label noise' if added is None else f'label noise {dict(added)}, realised'
        return f'{text} rate {rate:.4f}' + ('' if known.all() else f' of {known.sum():,} whose clean label is known')

    def extra_repr(self) -> list[str]:
        """Lines for ``repr``."""
        return [f'Split: \t{self.split}', f'Folder: \t{self.data_root}']
