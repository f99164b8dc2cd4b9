"""ExpW."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

import numpy as np

from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.image_files import log_unlisted
from mmfer.datasets.labels.numbers import whole_number
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.reading.files import BadLines, add_repeated, names_array, require_inside
from mmfer.datasets.reading.lines import lines_of
from mmfer.registry import DATASETS


@DATASETS.register_module()
class ExpW(FaceDataset):
    """ExpW (`Zhang et al. 2018 <https://arxiv.org/abs/1609.06426>`_): 91,793 faces in images from the web.

    An image may hold several faces, each with its box, which is cut out when the image is read. The folder as it is
    unpacked::

        data_root
        ├── label/label.lst          name, face id, top, left, right, bottom, confidence of the box, label 0-6:
        │                            angry_actor_104.jpg 0 28 113 226 141 22.9362 0
        └── image/origin             or image
            └── *.jpg

    A face is called after its image and face id, ``angry_actor_104_0.jpg``: so a landmark file lists it, with points
    in pixels of what is inside the box.

    There is no official split: 'train' is everything, and ``holdout`` takes 'val' from it. See :class:`FaceDataset`
    for the arguments.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['expw'])
    SPLITS = ('train',)
    LABEL_FILE = 'label/label.lst'
    IMAGE_FOLDER = 'image'
    REQUIRED = (LABEL_FILE, IMAGE_FOLDER)
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(train=(3671, 3995, 1088, 30537, 10559, 7060, 34883))
    HOW_TO_GET = (
        'ExpW is for research: get it at http://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html, and '
        'unpack it so that both are there'
    )

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads the label file."""
        self.label_file = path = osp.join(self.data_root, self.LABEL_FILE)
        if osp.isdir(osp.join(self.data_root, 'image/origin')):
            self.IMAGE_FOLDER = 'image/origin'
        bad = BadLines(
            path,
            "'name.jpg 0 28 113 226 141 22.9 3': name, face id, top, left, right, bottom, confidence "
            f'of the box, label from 0 to {len(self.source_classes) - 1}',
        )
        names, files, numbers, lines = [], [], [], []
        for number, text in lines_of(path, bad):
            try:
                file, face, *box_and_label = _parse(text, len(self.source_classes))
            except ValueError as error:
                bad.add(number, text, str(error))
                continue
            stem, extension = osp.splitext(file)
            names.append(f'{stem}_{face}{extension}')
            files.append(file)
            numbers.append(box_and_label)
            lines.append(number)
        name, line = names_array(names), np.array(lines, dtype=np.int32)
        add_repeated(name, line, bad)
        bad.raise_if_any()
        log_unlisted(self.image_folder, files, type(self).__name__)
        table = np.array(numbers, dtype=np.int32).reshape(-1, 5)
        return dict(name=name, file=names_array(files), box=table[:, :4], label=table[:, 4], line=line)


def _parse(line: str, kinds: int) -> tuple[str, int, int, int, int, int, int]:
    """Image, face id, x0, y0, x1, y1 and label."""
    fields = line.strip().rsplit(maxsplit=7)  # from the right: names may have blanks
    if len(fields) != 8:
        raise ValueError(f'{len(fields)} fields')
    numbers = [number for field in (*fields[1:6], fields[7]) if (number := whole_number(field)) is not None]
    if len(numbers) < 6:
        raise ValueError('face id, box and label must be whole numbers')
    face, top, left, right, bottom, label = numbers
    if not (max(left, 0) < right and max(top, 0) < bottom):
        raise ValueError(f'the box is empty: top {top}, left {left}, right {right}, bottom {bottom}')
    if not 0 <= label < kinds:
        raise ValueError(f'label {label} is not among 0-{kinds - 1}')
    return require_inside(fields[0]), face, left, top, right, bottom, label
