"""Faces that a csv file lists."""

from __future__ import annotations

import os.path as osp
from typing import Any

import numpy as np

from mmfer.registry import DATASETS

from .csv_table import read_csv
from .face_dataset import FaceDataset
from .files import BadLines, add_outside, add_repeated, names_array
from .image_files import log_unlisted
from .label_schema import canonical

_COLUMNS = dict(
    name=('name', 'image', 'file', 'filename', 'path'),
    label=('label', 'expression', 'emotion', 'class'),
    split=('split', 'usage'),
    identity=('identity', 'person', 'subject'),
    clean_label=('clean_label',),
)
_SPLIT_OF = {'training': 'train', 'valid': 'val', 'validation': 'val', 'publictest': 'val', 'privatetest': 'test'}
_MOST_CLASSES = 1000
_AT_ONCE = 200  # thousands of small arrays of strings take twice the memory of a few large ones


@DATASETS.register_module()
class CsvFaces(FaceDataset):
    """Faces of any folder, listed in a csv file with a header.

    For example::

        data_root
        ├── faces.csv                name,label,split
        │                            people/anna 1.jpg,happy,train
        │                            people/ben 1.jpg,sad,test
        └── people
            ├── anna 1.jpg
            └── ...

    ============= ======================================================================================================
    name          path of the image in ``data_root/image_folder``; each once
    label         the name of a class, synonyms allowed, or its number from 0
    split         optional: train, val or test. Without it every row is of the split that is asked for
    identity      optional: who it is; ``holdout`` keeps people together
    clean_label   optional: a better label where ``label`` is noisy, empty where unknown; for diagnostics only
    ============= ======================================================================================================

    Classes that are named are put in alphabetical order, unless ``metainfo=dict(classes=...)`` gives an order; numbers
    need it, as they count in it. Ten million rows load in less than a minute: see ``benchmarks/loading.py``. Of more
    than two million images only 10,000 are looked for on disk.

    Args:
        ann_file: The csv file, relative to ``data_root``. Defaults to 'faces.csv'.
        image_folder: What ``name`` is relative to, in ``data_root``. Defaults to ''.
        **kwargs: See :class:`FaceDataset`.
    """

    SPLITS = ('train', 'val', 'test')

    def __init__(self, *args: Any, ann_file: str = 'faces.csv', image_folder: str = '', **kwargs: Any):
        self.IMAGE_FOLDER, self.REQUIRED = image_folder, (ann_file,)
        self.HOW_TO_GET = "write it with the header 'name,label,split', or name it with ann_file=..."
        super().__init__(*args, **kwargs)

    def load_columns(self) -> dict:
        """Reads the file; keeps the rows of this split."""
        self.label_file = path = osp.join(self.data_root, self.REQUIRED[0])
        bad = BadLines(path, "'name,label' as in the header, names relative to the image folder, each once")
        small: list[dict[str, np.ndarray]] = []
        large: list[dict[str, np.ndarray]] = []
        codes: dict[str, int] = {'': -1}  # of all texts that stand for a class
        for line, cells in read_csv(path, _COLUMNS, bad, optional=('split', 'identity', 'clean_label')):
            columns = dict(line=line, name=names_array(cells['name']), mine=self._mine(line, cells, bad))
            add_outside(cells['name'], line, bad)
            for key in cells.keys() & {'label', 'clean_label'}:
                for text in set(cells[key]) - codes.keys():
                    codes[text] = len(codes) - 1
                columns[key] = np.array([codes[text] for text in cells[key]], dtype=np.int32)
            if len(codes) > _MOST_CLASSES:
                raise ValueError(
                    f'{path} has more than {_MOST_CLASSES} different labels, such as {cells["label"][0]!r}'
                    '; is it the column of the classes that is called label?'
                )
            if 'identity' in cells:
                columns['identity'] = names_array(cells['identity'])
            small.append(columns)
            if len(small) == _AT_ONCE:
                large.append(_merged(small))
        columns = _merged([*large, *([_merged(small)] if small else [])])
        if columns:
            add_repeated(columns['name'], columns['line'], bad)
            self._to_classes(columns, codes, bad)
        bad.raise_if_any()
        if not columns:
            return dict(name=names_array([]), label=np.empty(0, dtype=np.int64))
        log_unlisted(self.image_folder, columns['name'], type(self).__name__)
        mine = columns.pop('mine')
        return columns if mine.all() else {key: column[mine] for key, column in columns.items()}

    def _mine(self, line: np.ndarray, cells: dict[str, list[str]], bad: BadLines) -> np.ndarray:
        if 'split' not in cells:
            return np.ones(len(line), dtype=bool)
        split_of = {text: _SPLIT_OF.get(text.lower(), text.lower()) for text in set(cells['split'])}
        for number, text in zip(line.tolist(), cells['split'], strict=True):
            if split_of[text] not in ('train', 'val', 'test'):
                bad.add(number, text, f'split {text!r} is not among train, val and test')
        return np.array([split_of[text] == self.source_split for text in cells['split']], dtype=bool)

    def _to_classes(self, columns: dict[str, np.ndarray], codes: dict[str, int], bad: BadLines) -> None:
        texts, wanted = list(codes)[1:], self._metainfo.get('classes')
        if all(text.lstrip('-').isdecimal() for text in texts):
            if not wanted:
                raise ValueError(
                    f'{bad.path} numbers its classes; say what the numbers mean: metainfo=dict(classes='
                    "'rafdb'), or list the names, the one of 0 first"
                )
            ids, known = [int(text) for text in texts], f'0-{len(wanted) - 1}'
            self.source_classes = tuple(wanted)
        else:
            self.source_classes = tuple(sorted({canonical(text) for text in texts}))
            ids, known = [self.source_classes.index(canonical(text)) for text in texts], ''
        for key in columns.keys() & {'label', 'clean_label'}:
            label = np.array([*ids, -1])[columns[key]]  # the last is what an empty cell's -1 takes
            unknown = (label < (-1 if key == 'clean_label' else 0)) | (label >= len(self.source_classes))
            for row in np.flatnonzero(unknown):
                text = [*texts, ''][columns[key][row]]
                bad.add(
                    int(columns['line'][row]),
                    str(columns['name'][row]),
                    f'{key} {text} is not among {known}' if text else f'the {key} is empty',
                )
            columns[key] = label


def _merged(pieces: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The pieces as one; they are used up, so that there are never two copies of more than a column."""
    columns = {key: np.concatenate([piece.pop(key) for piece in pieces]) for key in list(pieces[0] if pieces else ())}
    pieces.clear()
    return columns
