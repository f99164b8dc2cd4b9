"""The two layouts of AffectNet."""

from __future__ import annotations

import os.path as osp
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import compress

import numpy as np

from mmfer.datasets.images.listing import list_files, say_passed_over
from mmfer.datasets.labels.numbers import whole_number
from mmfer.datasets.landmarks.folder import xy_of
from mmfer.datasets.landmarks.formats import coordinates, float32
from mmfer.datasets.reading.arrays import read_npy
from mmfer.datasets.reading.csv_table import read_csv
from mmfer.datasets.reading.files import BadLines, add_outside, add_repeated, name_a_few, names_array
from mmfer.progress import ProgressBar

EXPRESSIONS = 8
OTHERS = ('none', 'uncertain', 'no face')
_LABELS = EXPRESSIONS + len(OTHERS)
_POINTS = 68
_ENDINGS = ('_exp.npy', '_val.npy', '_aro.npy', '_lnd.npy')
_CSV_HEADER = 'subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal'
_FAR = 10**6
"""Pixels that no picture has."""
_BOX = ('face_x', 'face_y', 'face_width', 'face_height')


def read_annotations(root: str, folder: str) -> dict[str, np.ndarray]:
    """Reads ``folder/annotations/ID_{exp,val,aro,lnd}.npy`` with threads: over a million small files.

    Returns:
        ``name`` (``folder/images/ID.jpg``), ``label`` 0-7, ``valence``, ``arousal`` and ``landmarks``, nan where the
        file of one is missing; and ``left_out`` [3], how many are labelled 8, 9 and 10.

    Raises:
        ValueError: Some file holds something else; the first are named.
    """
    place = osp.join(root, folder, 'annotations')
    found, passed = list_files(place, below=False, wanted=lambda name: name.endswith(_ENDINGS))
    say_passed_over(place, passed)
    files = set(found)
    ids = [file.removesuffix('_exp.npy') for file in files if file.endswith('_exp.npy')]
    ids.sort(key=lambda id_: (len(id_), id_))  # numbers in order
    label = np.full(len(ids), -1, dtype=np.int64)
    affect = np.full((2, len(ids)), np.nan, dtype=np.float32)
    landmarks = np.full((len(ids), _POINTS, 2), np.nan, dtype=np.float32)
    bad = []

    def read(row: int) -> None:
        id_ = ids[row]
        try:
            file = f'{id_}_exp.npy'
            found = _load(place, file).item()
            number = whole_number(found)
            if number is None or number not in range(_LABELS):
                raise ValueError(f'label {found} is not among 0-{_LABELS - 1}')
            label[row] = number
            for values, kind in zip(affect, ('val', 'aro'), strict=True):
                file = f'{id_}_{kind}.npy'
                if file in files:
                    values[row] = float32(_load(place, file)).item()
            file = f'{id_}_lnd.npy'
            if file in files:
                landmarks[row] = xy_of(_load(place, file)).reshape(_POINTS, 2)
        except (ValueError, OSError) as error:
            bad.append(f'{file} ({error})')

    with ThreadPoolExecutor(16) as pool:  # they wait for the disk, above all where it is a network's
        for _ in ProgressBar(
            pool.map(read, range(len(ids))), desc=f'annotations of {folder}', total=len(ids), unit='face'
        ):
            pass
    if bad:
        raise ValueError(
            f'{len(bad):,} files in {place} are no annotations of AffectNet: {name_a_few(sorted(bad))}; '
            'unpack them again'
        )
    kept = label < EXPRESSIONS
    return dict(
        name=names_array([f'{folder}/images/{id_}.jpg' for id_ in ids])[kept],
        label=label[kept],
        **_affect(affect[:, kept]),
        landmarks=landmarks[kept],
        left_out=_left_out(label),
    )


def _load(folder: str, file: str) -> np.ndarray:
    return read_npy(osp.join(folder, file))


def _left_out(label: np.ndarray) -> np.ndarray:
    return np.bincount(label, minlength=_LABELS)[EXPRESSIONS:]


def _affect(values: np.ndarray) -> dict[str, np.ndarray]:
    values = np.where(np.abs(values) <= 1, values, np.nan).astype(np.float32)  # -2 stands for unknown
    return dict(valence=values[0], arousal=values[1])


def read_annotation_csv(path: str) -> dict[str, np.ndarray]:
    """Reads training.csv or validation.csv, which may lack its header.

    Returns:
        ``name``, ``label`` 0-7, ``valence``, ``arousal``, ``box``, ``landmarks`` in pixels of the box, ``line``; and
        ``left_out`` [3], how many are labelled 8, 9 and 10, of whom nothing else is read.

    Raises:
        ValueError: Lines that are none of AffectNet's.
    """
    bad = BadLines(path, f"{_CSV_HEADER} with expression 0-{_LABELS - 1} and {_POINTS} points 'x;y;x;y;...'")
    columns = {key: (key.lower(),) for key in _CSV_HEADER.split(',')}
    pieces, left_out = [], np.zeros(len(OTHERS), dtype=np.int64)
    for line, cells in read_csv(path, columns, bad, header=_CSV_HEADER):
        numbers = [whole_number(text) for text in cells['expression']]
        label = np.array([number if number in range(_LABELS) else -1 for number in numbers], dtype=np.int64)
        for row in np.flatnonzero(label < 0):
            bad.add(
                int(line[row]),
                cells['subDirectory_filePath'][row],
                f'expression {cells["expression"][row]!r} is not among 0-{_LABELS - 1}',
            )
        left_out += _left_out(np.maximum(label, 0))
        kept = (label >= 0) & (label < EXPRESSIONS)
        cells = {key: list(compress(texts, kept)) for key, texts in cells.items()}
        pieces.append(dict(label=label[kept], line=line[kept], **_piece(cells, line[kept], bad)))
    if not bad.looked_at:
        raise ValueError(f'{path} lists no face; get it again')
    table = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
    add_repeated(table['name'], table['line'], bad)
    bad.raise_if_any()
    return {**table, 'left_out': left_out}


def _piece(cells: dict[str, list[str]], line: np.ndarray, bad: BadLines) -> dict[str, np.ndarray]:
    names = cells['subDirectory_filePath']
    add_outside(names, line, bad)
    affect = [_numbers(cells[key], 1, key, line, names, bad)[:, 0] for key in ('valence', 'arousal')]
    x, y, width, height = (_numbers(cells[key], 1, key, line, names, bad)[:, 0] for key in _BOX)
    with np.errstate(over='ignore', invalid='ignore'):
        corners = np.stack([x, y, x + width, y + height], axis=1).clip(min=0)
    far = corners.max(axis=1, keepdims=True)
    box = np.where(far < _FAR, corners, 0).astype(np.int32)  # of NaN zeros, too
    for row in np.flatnonzero((box[:, 0] >= box[:, 2]) | (box[:, 1] >= box[:, 3])):
        found = ', '.join(f'{key} {cells[key][row][:20]}' for key in _BOX)
        bad.add(
            int(line[row]), names[row], f'the box is {"beyond any picture" if far[row] >= _FAR else "empty"}: {found}'
        )
    landmarks = _numbers(cells['facial_landmarks'], 2 * _POINTS, 'facial_landmarks', line, names, bad)
    landmarks = landmarks.reshape(-1, _POINTS, 2) - box[:, None, :2]
    return dict(name=names_array(names), **_affect(np.array(affect)), box=box, landmarks=coordinates(landmarks))


def _numbers(cells: list[str], count: int, key: str, line: np.ndarray, names: list[str], bad: BadLines) -> np.ndarray:
    """Float64 [n, count] of cells of ``count`` numbers each, parted by semicolons; zeros for those that are not."""
    if all(cell.count(';') == count - 1 for cell in cells):
        values = _parse(';'.join(cells))
        if values is not None and len(values) == len(cells) * count:
            return values.reshape(-1, count)
    values = np.zeros((len(cells), count))
    for row, cell in enumerate(cells):
        one = _parse(cell)
        if one is None or len(one) != count:
            found = 'no number' if one is None else f'{len(one)} numbers instead of {count}'
            bad.add(int(line[row]), names[row], f'{key} {cell[:20]!r} is {found}')
        else:
            values[row] = one
    return values


def _parse(text: str) -> np.ndarray | None:
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)  # "could not be read to its end"
        try:
            return np.fromstring(text, sep=';')
        except (DeprecationWarning, ValueError):
            return None
