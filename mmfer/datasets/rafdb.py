"""RAF-DB, basic expressions."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

import numpy as np

from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.image_files import log_unlisted
from mmfer.datasets.labels.numbers import whole_number
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.reading.files import BadLines, names_array
from mmfer.datasets.reading.lines import lines_of
from mmfer.datasets.reading.names import normal_name
from mmfer.registry import DATASETS


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

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['rafdb'])
    IMAGE_FOLDER = 'basic/Image/aligned'
    LABEL_FILE = 'basic/EmoLabel/list_patition_label.txt'
    REQUIRED = (LABEL_FILE, IMAGE_FOLDER)
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(
        train=(1290, 281, 717, 4772, 1982, 705, 2524), test=(329, 74, 160, 1185, 478, 162, 680)
    )
    HOW_TO_GET = (
        'RAF-DB is under an agreement: apply at http://www.whdeng.cn/RAF/model1.html, and unpack it so that '
        'both are there'
    )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads the label file; keeps the rows of this split."""
        kinds = len(self.source_classes)
        self.label_file = path = osp.join(self.data_root, self.LABEL_FILE)
        names, labels, lines = [], [], []
        seen: dict[str, int] = {}
        bad = BadLines(path, f"'train_00001.jpg 5': a train_ or test_ image and a label from 1 to {kinds}")
        for number, line in lines_of(path, bad):
            fields = line.split()
            label = whole_number(fields[-1])
            if len(fields) != 2:
                bad.add(number, line, f'{len(fields)} fields')
            elif not fields[0].startswith(('train_', 'test_')) or '/' in fields[0]:
                bad.add(number, line, 'the name must start with train_ or test_, without a folder')
            elif label is None or not 1 <= label <= kinds:
                bad.add(number, line, f'label {fields[1]} is not among 1-{kinds}')
            elif (name := normal_name(fields[0])) in seen:
                bad.add(number, line, f'the image is listed twice, first in line {seen[name]}')
            else:
                seen[name] = number
                names.append(osp.splitext(fields[0])[0] + '_aligned.jpg')
                labels.append(label - 1)
                lines.append(number)
        bad.raise_if_any()
        log_unlisted(self.image_folder, names, type(self).__name__)
        rows = [row for row, name in enumerate(names) if name.startswith(f'{self.source_split}_')]
        columns = dict(
            name=names_array(names), label=np.array(labels, dtype=np.int64), line=np.array(lines, dtype=np.int32)
        )
        return {key: column[rows] for key, column in columns.items()}
