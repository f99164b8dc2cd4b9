"""Any folders of faces."""

from __future__ import annotations

import os.path as osp

import numpy as np

from mmfer.datasets.annotations.class_folders import (
    by_value,
    class_folders,
    classes_by_number,
    find_folder,
    read_class_folders,
)
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.listing import list_files
from mmfer.datasets.reading.files import require_paths
from mmfer.registry import DATASETS

FOLDERS = {'train': ('train', 'training'), 'val': ('val', 'valid', 'validation'), 'test': ('test', 'testing')}


@DATASETS.register_module()
class FolderFaces(FaceDataset):
    """Faces in a folder a class, in a folder a split.

    As follows::

        data_root
        ├── train
        │   ├── happy/*.jpg          any image files
        │   ├── sad/*.jpg
        │   └── ...
        ├── val                      if there is one; or 'valid', 'validation'
        │   └── ...
        └── test
            └── ...

    Without folders of splits the class folders themselves may lie in ``data_root``: then every face is of the split
    that is asked for, and ``holdout`` parts them.

    The classes are the folders of all splits in alphabetical order, numbers in names by their value, under the names of
    :mod:`mmfer.datasets.labels.schema`, unless ``metainfo=dict(classes=...)`` gives an order. Folders that are named by
    numbers need it: with K classes they are 0 to K - 1 or 1 to K, in the order of the names, and the log says which is
    which. See :class:`FaceDataset` for the arguments.
    """

    SPLITS = ('train', 'val', 'test')
    HOW_TO_GET = 'put a folder for each class there, with its images inside'

    def load_columns(self) -> dict[str, np.ndarray]:
        """Lists the class folders of this split."""
        name, split = type(self).__name__, self.source_split
        there = {key: find_folder(self.data_root, candidates) for key, candidates in FOLDERS.items()}
        self.parted = any(there.values()) or not has_class_folders(self.data_root)
        if self.parted:
            require_paths(name, self.data_root, (there[split] or split,), self.HOW_TO_GET)
        folders = [folder for folder in there.values() if folder] if self.parted else ['']
        words = {word for folder in folders for word in class_folders(osp.join(self.data_root, folder)).values()}
        wanted = tuple(self._metainfo.get('classes') or ())
        numbers = classes_by_number(words, wanted, self.data_root)
        self.source_classes = wanted if numbers else tuple(sorted(words, key=by_value))
        folder = (there[split] or '') if self.parted else ''
        return read_class_folders(self.data_root, folder, numbers or self.source_classes, name, complete=False)


def has_class_folders(root: str) -> bool:
    """Whether there are pictures in the folders of a folder, which is what class folders are."""
    if not osp.isdir(root):
        return False
    return any(list_files(osp.join(root, name), below=False).names for name in class_folders(root))
