"""SFEW 2.0."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mmfer.datasets.annotations.class_folders import find_folder, read_class_folders
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.reading.files import require_paths
from mmfer.registry import DATASETS

_FOLDERS = {
    'train': ('Train_Aligned_Faces', 'Train/Train_Aligned_Faces'),
    'val': ('Val_Aligned_Faces', 'Val_Aligned_Faces_new', 'Val/Val_Aligned_Faces', 'Val/Val_Aligned_Faces_new'),
}


@DATASETS.register_module()
class SFEW(FaceDataset):
    """SFEW 2.0 (`Dhall et al. 2015 <https://doi.org/10.1145/2818346.2829994>`_): frames of films.

    958 frames to train and 436 to validate; the aligned faces are those where a detector found one, so fewer. The
    labels of the 372 test frames are not public: methods report 'val'. The folder as it is unpacked::

        data_root
        ├── Train_Aligned_Faces          or Train/Train_Aligned_Faces
        │   ├── Angry/*.png              143 x 181 pixels
        │   ├── Disgust/*.png
        │   └── ...                      Fear, Happy, Neutral, Sad, Surprise
        └── Val_Aligned_Faces            or Val_Aligned_Faces_new, or either in Val
            └── ...

    See :class:`FaceDataset` for the arguments.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['sfew'])
    SPLITS = ('train', 'val')
    HOW_TO_GET = (
        'SFEW 2.0 is under an agreement: apply at https://cs.anu.edu.au/few/AFEW.html, and unpack '
        'Train_Aligned_Faces and Val_Aligned_Faces there'
    )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Lists the class folders of this split."""
        name, candidates = type(self).__name__, _FOLDERS[self.source_split]
        folder = find_folder(self.data_root, candidates) or candidates[0]
        require_paths(name, self.data_root, (folder,), self.HOW_TO_GET)
        return read_class_folders(self.data_root, folder, self.source_classes, name)
