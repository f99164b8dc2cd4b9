"""RAF-DB, compound expressions."""

from __future__ import annotations

from typing import Any, ClassVar

from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.rafdb import RAFDB
from mmfer.registry import DATASETS


@DATASETS.register_module()
class RAFDBCompound(RAFDB):
    """RAF-DB compound (`Li et al. 2017 <http://www.whdeng.cn/RAF/model1.html>`_): 3,162 faces to train, 792 to test.

    Eleven classes such as 'happily surprised', which have no counterpart in the other datasets. The folder as it is
    unpacked, beside that of :class:`RAFDB`::

        data_root
        └── compound
            ├── EmoLabel/list_patition_label.txt      train_00001.jpg 5
            └── Image/aligned
                ├── train_00001_aligned.jpg           100 x 100 pixels
                └── ...

    The file counts classes from 1; ours keep its order and count from 0. See :class:`FaceDataset` for the arguments.
    There is no official validation split: take one from the training rows with ``holdout``.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['rafdb_compound'])
    IMAGE_FOLDER = 'compound/Image/aligned'
    LABEL_FILE = 'compound/EmoLabel/list_patition_label.txt'
    REQUIRED = (LABEL_FILE, IMAGE_FOLDER)
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(train=(3162,), test=(792,))
