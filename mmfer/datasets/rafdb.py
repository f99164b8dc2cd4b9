"""RAF-DB, basic expressions."""
from __future__ import annotations

import os.path as osp
from typing import ClassVar

import numpy as np

from mmfer.registry import DATASETS

from .face_dataset import FaceDataset
from .files import parse_lines
from .label_schema import ORDERS


@DATASETS.register_module()
class RAFDB(FaceDataset):
    """RAF-DB basic (`Li et al. 2017 <http://www.whdeng.cn/RAF/model1.html>`_): 12,271 faces to train, 3,068 to test.

    The folder as it is unpacked, plus a landmark file if there is one::

        data_root
        ├── basic
        │   ├── EmoLabel/list_patition_label.txt      train_00001.jpg 5
        │   └── Image/aligned
        │       ├── train_00001_aligned.jpg           100 x 100 pixels
        │       └── ...
        └── landmarks68.npz                           names: train_00001_aligned.jpg, ...

    The file counts classes from 1; ours keep its order and count from 0. See :class:`FaceDataset` for the arguments.
    There is no official validation split: take one from the training rows with ``holdout``.
    """

    METAINFO: ClassVar[dict] = dict(classes=ORDERS['rafdb'])
    IMAGE_FOLDER = 'basic/Image/aligned'
    LABEL_FILE = 'basic/EmoLabel/list_patition_label.txt'
    REQUIRED = (LABEL_FILE, IMAGE_FOLDER)
    HOW_TO_GET = ('RAF-DB is under an agreement: apply at http://www.whdeng.cn/RAF/model1.html, and unpack it so that '
                  'both are there')

    def load_columns(self) -> dict:
        """Reads the label file; keeps the rows of this split."""
        seen: set[str] = set()

        def parse(line: str) -> tuple[str, int]:
            fields = line.split()
            if len(fields) != 2:
                raise ValueError(f'{len(fields)} fields')
            name, label = fields
            if name in seen:
                raise ValueError('the image is listed twice')
            if not name.startswith(('train_', 'test_')):
                raise ValueError('the name must start with train_ or test_')
            if label not in ('1', '2', '3', '4', '5', '6', '7'):
                raise ValueError(f'label {label} is not among 1-7')
            seen.add(name)
            return name, int(label) - 1

        path = osp.join(self.data_root, self.LABEL_FILE)
        rows = parse_lines(path, parse, "'train_00001.jpg 5': a train_ or test_ image and a label from 1 to 7")
        rows = [(name, label) for name, label in rows if name.startswith(f'{self.source_split}_')]
        return dict(
            name=np.array([osp.splitext(name)[0] + '_aligned.jpg' for name, _ in rows]),
            label=np.array([label for _, label in rows], dtype=np.int64))
