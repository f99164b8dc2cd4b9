"""FER2013."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

import numpy as np

from mmfer.datasets.annotations.class_folders import find_folder, read_class_folders
from mmfer.datasets.annotations.fer_csv import read_fer_csv
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.reading.files import require_paths
from mmfer.registry import DATASETS

_FOLDERS = {
    'train': ('Training', 'train'),
    'val': ('PublicTest', 'val', 'validation'),
    'test': ('PrivateTest', 'test'),
}


@DATASETS.register_module()
class FER2013(FaceDataset):
    """FER2013 (`Goodfellow et al. 2013 <https://arxiv.org/abs/1307.0414>`_): 48 x 48 grey pixels.

    28,709 faces to train, 3,589 each to validate (PublicTest) and to test (PrivateTest). As it is distributed::

        data_root
        └── fer2013.csv              emotion,pixels,Usage
                                     0,70 80 82 72 ...,Training

    or, where there is no such file, as images in folders::

        data_root
        ├── Training                 or train
        │   ├── angry/*.jpg
        │   └── ...                  disgust, fear, happy, sad, surprise, neutral
        ├── PublicTest               or val, validation
        │   └── ...
        └── PrivateTest              or test
            └── ...

    The folders that circulate as train and test have both test sets, 7,178 faces, in 'test'. Faces of the csv are
    called ``fer2013_00000.png`` after their row, counted from 0; their pixels are kept in memory, 200 MB to train. See
    :class:`FaceDataset` for the arguments.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['fer2013'])
    SPLITS = ('train', 'val', 'test')
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(
        train=(3995, 436, 4097, 7215, 4830, 3171, 4965),
        val=(467, 56, 496, 895, 653, 415, 607),
        test=(491, 55, 528, 879, 594, 416, 626),
    )
    HOW_TO_GET = (
        'FER2013 is of a Kaggle challenge: accept its rules at https://www.kaggle.com/c/challenges-in-'
        'representation-learning-facial-expression-recognition-challenge/data, and unpack fer2013.csv there, '
        'or folders Training, PublicTest and PrivateTest with a folder for each class'
    )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads the csv or lists the folders; keeps the rows of this split."""
        path, name = osp.join(self.data_root, 'fer2013.csv'), type(self).__name__
        if osp.exists(path):
            self.label_file = path
            rows = read_fer_csv(path, self.source_split)
            names = np.array([f'fer2013_{row:05d}.png' for row in rows.row], dtype=np.str_)
            return dict(name=names, label=rows.label, line=rows.line, image=rows.image)
        candidates = _FOLDERS[self.source_split]
        folder = find_folder(self.data_root, candidates)
        if folder is None:
            there = any(find_folder(self.data_root, others) for others in _FOLDERS.values())
            require_paths(name, self.data_root, candidates[:1] if there else ('fer2013.csv',), self.HOW_TO_GET)
        return read_class_folders(self.data_root, folder, self.source_classes, name)
