"""AffectNet, the manually annotated part."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.annotations.affectnet_files import OTHERS, read_annotation_csv, read_annotations
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.image_files import log_unlisted
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.reading.column_cache import cached_columns
from mmfer.datasets.reading.files import require_paths
from mmfer.registry import DATASETS

_FOLDER_OF = {'train': 'train_set', 'val': 'val_set'}
_CSV_OF = {'train': 'training.csv', 'val': 'validation.csv'}


@DATASETS.register_module()
class AffectNet(FaceDataset):
    """AffectNet (`Mollahosseini et al. 2017 <https://arxiv.org/abs/1708.03985>`_), annotated by people.

    287,651 faces to train (283,901 without contempt) and 500 a class to validate; the test set is not public, methods
    report 'val'. As it has been distributed since 2020, cropped to 224 x 224::

        data_root
        ├── train_set
        │   ├── images/0.jpg
        │   └── annotations              0_exp.npy 0_val.npy 0_aro.npy 0_lnd.npy
        └── val_set
            └── ...

    or, where these folders are not there, as it was before::

        data_root
        ├── training.csv                 subDirectory_filePath,face_x,...,expression,valence,arousal
        ├── validation.csv
        └── Manually_Annotated_Images
            ├── 1/*.jpg
            └── ...                      faces are cut out at face_x, face_y, face_width, face_height

    Labels count from 0 as in :data:`mmfer.datasets.labels.schema.ORDERS`. Rows 8 none, 9 uncertain and 10 no face carry
    no expression and are left out; the log counts them. For the protocol with seven classes give
    ``metainfo=dict(classes='affectnet7'), drop_classes=['contempt']``. Valence, arousal (nan where unknown) and 68
    landmarks come along.

    More than a million annotation files take minutes to read. That happens once: what they say is kept in
    ``$MMFER_CACHE`` (:mod:`~mmfer.datasets.reading.column_cache`) until they change. The arguments are those of
    :class:`FaceDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['affectnet8'])
    SPLITS = ('train', 'val')
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(
        train=(74874, 134415, 25459, 14090, 6378, 3803, 24882, 3750), val=(500,) * 8
    )
    HOW_TO_GET = (
        'AffectNet is under an agreement: apply at http://mohammadmahoor.com/affectnet/, and unpack it so '
        'that there are train_set and val_set, or training.csv, validation.csv and Manually_Annotated_Images'
    )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads what is known of this split, from the annotations or from what was kept of them."""
        root, folder, table = self.data_root, _FOLDER_OF[self.source_split], _CSV_OF[self.source_split]
        path, name = osp.join(root, table), type(self).__name__
        if osp.exists(path) and not osp.isdir(osp.join(root, folder)):
            self.IMAGE_FOLDER, self.label_file = 'Manually_Annotated_Images', path
            require_paths(name, root, (self.IMAGE_FOLDER,), self.HOW_TO_GET)
            columns = cached_columns(path, lambda: read_annotation_csv(path))
        else:
            require_paths(name, root, (f'{folder}/images', f'{folder}/annotations'), self.HOW_TO_GET)
            columns = cached_columns(osp.join(root, folder, 'annotations'), lambda: read_annotations(root, folder))
            log_unlisted(self.image_folder, columns['name'], name)
        left_out = columns.pop('left_out')
        if left_out.any():
            print_log(
                f'{name} {self.source_split}: left out, as they carry no expression: '
                + ', '.join(f'{count:,} {other}' for other, count in zip(OTHERS, left_out, strict=True)),
                logger='current',
            )
        return columns
