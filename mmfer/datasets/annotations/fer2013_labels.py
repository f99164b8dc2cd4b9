"""FER2013's own labels of the faces of FER+, as a table by name."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence

import numpy as np

from mmfer.datasets.annotations.ferplus_files import FOLDER_OF, PIXELS_FILE, VOTES_FILE, read_csv_files
from mmfer.datasets.labels.numbers import whole_number
from mmfer.datasets.labels.schema import ORDERS, canonical
from mmfer.datasets.reading.csv_table import read_csv
from mmfer.datasets.reading.files import BadLines, add_repeated, names_array, require_paths

_CLASSES = ORDERS['fer2013']
TABLE = 'fer2013_labels.csv'
_COLUMNS = dict(name=('name', 'image', 'image name'), label=('label', 'emotion'))


def read_table(path: str) -> dict[str, int]:
    """The label of each face by its name, an id in FER2013's order, from a csv file with the header ``name,label``.

    A label is a name or a number from 0 to 6; faces whose label is empty are left out. Other columns are not read.

    Raises:
        ValueError: Lines that have another label, or a name twice.
    """
    bad = BadLines(path, f"'name,label' as in the header, a label of {', '.join(_CLASSES)}, or none")
    names: list[str] = []
    labels: list[int] = []
    lines: list[int] = []
    for line, cells in read_csv(path, _COLUMNS, bad):
        for number, name, text in zip(line.tolist(), cells['name'], cells['label'], strict=True):
            label = -1 if not text else _label_of(text)
            if label is None:
                bad.add(number, f'{name},{text}', f'the label {text!r} is none of FER2013')
            else:
                names.append(name)
                labels.append(label)
                lines.append(number)
    add_repeated(names_array(names), np.array(lines, dtype=np.int32), bad)
    bad.raise_if_any()
    return {name: label for name, label in zip(names, labels, strict=True) if label >= 0}


def fer2013_labels(root: str, split: str, names: Sequence[str], how_to_get: str) -> np.ndarray:
    """FER2013's labels of the faces of FER+ that lie in folders, ids int64 [N] in FER2013's order; -1 where unknown.

    Args:
        root: The folder with fer2013new.csv and fer2013.csv, else with fer2013_labels.csv.
        split: Which faces these are.
        names: N names, as label.csv has them.
        how_to_get: What to do where fer2013new.csv or fer2013.csv is missing.

    Raises:
        FileNotFoundError: None of these files is there.
        ValueError: They are damaged, or name none of the faces.
    """
    path, published = osp.join(root, TABLE), (PIXELS_FILE, VOTES_FILE)
    if all(osp.exists(osp.join(root, file)) for file in published):
        path = osp.join(root, VOTES_FILE)
        columns, _ = read_csv_files(root, split)
        known = dict(zip(columns['name'].tolist(), columns['fer2013'].tolist(), strict=True))
    else:
        if not osp.exists(path):
            table = f"or put there {TABLE} with the header 'name,label'"
            require_paths("FERPlus with observed='fer2013'", root, published, f'{how_to_get}; {table}')
        known = read_table(path)
    labels = np.array([known.get(name, -1) for name in names], dtype=np.int64)
    if len(names) and (labels < 0).all():
        raise ValueError(
            f'{path} has the label of none of the {len(names):,} faces of {FOLDER_OF[split]}/label.csv: it must name '
            f'them as that file does, such as {names[0]}'
        )
    return labels


def _label_of(text: str) -> int | None:
    name, number = canonical(text), whole_number(text)
    if name in _CLASSES:
        return _CLASSES.index(name)
    return number if number in range(len(_CLASSES)) else None
