"""Faces that a csv file lists."""

from __future__ import annotations

import logging
import os.path as osp
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.image_files import log_unlisted
from mmfer.datasets.labels.numbers import whole_number
from mmfer.datasets.labels.texts import read_label_texts
from mmfer.datasets.reading.csv_table import read_csv
from mmfer.datasets.reading.files import BadLines, add_outside, add_repeated, names_array
from mmfer.registry import DATASETS

_COLUMNS = dict(
    name=('name', 'image', 'file', 'filename', 'path'),
    label=('label', 'expression', 'emotion', 'class'),
    split=('split', 'usage', 'set', 'subset', 'partition', 'phase'),
    identity=('identity', 'person', 'subject'),
    clean_label=('clean_label',),
)
_SPLIT_OF = {'training': 'train', 'valid': 'val', 'validation': 'val', 'publictest': 'val', 'privatetest': 'test'}
_MOST_CLASSES = 1000
_EMPTY, _BAD = -2, -3
_NOBODY = ('', 'nan', 'NaN')
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
    label         the name of a class, synonyms allowed, or its number from 0, such as 3 or 3.0
    split         optional: train, val or test; ``usage``, ``set``, ``subset``, ``partition`` and ``phase`` are it, too.
                  Without it every row is of the split that is asked for, so that another split needs another file
    identity      optional: who it is, empty where unknown; ``holdout`` keeps people together
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

    def load_columns(self) -> dict[str, np.ndarray]:
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
                    f'{path} has more than {_MOST_CLASSES} different labels, such as {cells["label"][0][:80]!r}'
                    '; is it the column of the classes that is called label?'
                )
            if 'identity' in cells:
                people = zip(cells['identity'], cells['name'], strict=True)  # who is unknown, is nobody else
                columns['identity'] = names_array([name if person in _NOBODY else person for person, name in people])
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
        self.parted = 'split' in cells
        if not self.parted:
            return np.ones(len(line), dtype=bool)
        split_of = {text: _SPLIT_OF.get(text.lower(), text.lower()) for text in set(cells['split'])}
        for number, text in zip(line.tolist(), cells['split'], strict=True):
            if split_of[text] not in ('train', 'val', 'test'):
                bad.add(number, text, f'split {text!r} is not among train, val and test')
        return np.array([split_of[text] == self.source_split for text in cells['split']], dtype=bool)

    def _to_classes(self, columns: dict[str, np.ndarray], codes: dict[str, int], bad: BadLines) -> None:
        texts = list(codes)[1:]
        rows = np.bincount(columns['label'] + 1, minlength=len(codes))[1:].tolist()
        wanted = self._metainfo.get('classes') or ()
        found = read_label_texts(dict(zip(texts, rows, strict=True)), bad.path, wanted, self.drop_classes)
        self.source_classes = found.classes
        # The last value is what an empty cell's -1 takes.
        values = np.array([*(found.ids.get(text, _BAD) for text in texts), _EMPTY])
        for key in columns.keys() & {'label', 'clean_label'}:
            label = values[columns[key]]
            if key == 'clean_label':
                unknown = [code for code, text in enumerate(texts) if whole_number(text) == -1 and found.numbered]
                label[(label == _EMPTY) | np.isin(columns[key], unknown)] = -1
            for row in np.flatnonzero(label < (-1 if key == 'clean_label' else 0)):
                text = [*texts, ''][columns[key][row]]
                fault = f'{key} {text} {found.faults[text]}' if text else f'the {key} is empty'
                bad.add(int(columns['line'][row]), str(columns['name'][row]), fault)
            columns[key] = label
        if found.numbered and columns['label'].min(initial=_MOST_CLASSES) == 1:
            print_log(
                f'{bad.path}: no label is 0, which stands for {found.classes[0]}; numbers count from 0: correct them '
                'where they were meant to count from 1',
                logger='current',
                level=logging.WARNING,
            )


def _merged(pieces: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The pieces as one; they are used up, so that there are never two copies of more than a column."""
    columns = {key: np.concatenate([piece.pop(key) for piece in pieces]) for key in list(pieces[0] if pieces else ())}
    pieces.clear()
    return columns
