"""A data set: a folder for each class."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from acme_fer.registry import DATASETS
from mmfer.datasets import FaceDataset
from mmfer.datasets.labels.schema import ORDERS, canonical

SUFFIXES = ('.jpg', '.jpeg', '.png')


@DATASETS.register_module()
class FaceFolders(FaceDataset):
    """Aligned faces in a folder for each class; a folder's name may be a synonym, such as `happy`.

    ::

        data_root
        ├── train
        │   ├── anger/0001.png
        │   ├── happy/0002.png
        │   └── ...
        └── test
            └── ...

    Label noise, held-out rows, landmark files and everything else comes from :class:`mmfer.datasets.FaceDataset`.
    """

    METAINFO: ClassVar[dict] = dict(classes=ORDERS['rafdb'])
    REQUIRED = ('train',)
    HOW_TO_GET = 'draw some with `python -m acme_fer FOLDER`, or sort your own faces into folders'

    def load_columns(self) -> dict[str, np.ndarray]:
        """Lists the pictures of this split in order of class and name."""
        classes, folder = self.METAINFO['classes'], Path(self.data_root, self.source_split)
        if not folder.is_dir():
            raise FileNotFoundError(f'FaceFolders reads split={self.split!r} from {folder}, which is missing')
        folders = {canonical(path.name): path for path in sorted(folder.iterdir()) if path.is_dir()}
        unknown = sorted(set(folders) - set(classes))
        if unknown:
            raise ValueError(f'{folders[unknown[0]]} is no class: its name must be one of {", ".join(classes)}')
        rows = [
            (str(path.relative_to(self.data_root)), label)
            for label, name in enumerate(classes)
            if name in folders
            for path in sorted(folders[name].iterdir())
            if path.suffix.lower() in SUFFIXES
        ]
        return dict(
            name=np.array([name for name, _ in rows], dtype=np.str_),
            label=np.array([label for _, label in rows], dtype=np.int64),
        )
