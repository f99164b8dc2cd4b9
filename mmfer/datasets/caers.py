"""CAER-S."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mmfer.datasets.annotations.class_folders import read_class_folders
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.labels.schema import ORDERS
from mmfer.registry import DATASETS


@DATASETS.register_module()
class CAERS(FaceDataset):
    """CAER-S (`Lee et al. 2019 <https://arxiv.org/abs/1908.05913>`_): frames of television series, with context.

    About 70,000 frames in all, 7,000 a class to train and 3,000 to test. The folder as it is unpacked::

        data_root
        ├── train
        │   ├── Anger/*.png
        │   └── ...                  Disgust, Fear, Happy, Neutral, Sad, Surprise
        └── test
            └── ...

    A frame shows more than the face: align the faces first (``tools/dataset_tools/align.py``), or train on the scene.
    See :class:`FaceDataset` for the arguments. There is no official validation split: take one with ``holdout``.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['caers'])
    REQUIRED = ('train', 'test')
    HOW_TO_GET = (
        'CAER-S is for research: get it at https://caer-dataset.github.io, and unpack it so that both are there'
    )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Lists the class folders of this split."""
        return read_class_folders(self.data_root, self.source_split, self.source_classes, type(self).__name__)
