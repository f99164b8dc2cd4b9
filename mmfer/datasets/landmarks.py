"""Landmark files: reading what circulates, writing ours, finding each image's row.

Ours is an ``.npz`` without pickles: ``names`` [N] (image path relative to the image folder), ``points`` float32
[N, 68, 2] as (x, y) in pixels of the stored image with pixel centres at integers, ``score`` float32 [N], 0 where no
face was found.
"""
from __future__ import annotations

import csv
import os
import os.path as osp
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mmfer.structures.landmark_sets import NUM_POINTS

from .files import name_a_few, parse_lines, read_lines

_ORDER = f'{NUM_POINTS} points in the order of iBUG 300-W'
_IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')


class LandmarkFile(NamedTuple):
    """Rows of a landmark file: ``names`` [N] str, ``points`` float32 [N, 68, 2], ``score`` float32 [N]."""

    names: np.ndarray
    points: np.ndarray
    score: np.ndarray


def read_landmarks(path: str) -> LandmarkFile:
    """Reads a landmark file of any known kind.

    ==================== ===========================================================================================
    ``x.npz``            ours, see above
    ``x.csv``            a header ``name,score,x0,y0,...,x67,y67`` (``score`` optional; ``filename``, ``confidence``
                         and ``x_0`` pass as well), one face a line, pixels counted from 0
    folder of ``.pts``   iBUG's files, one a face; they count pixels from 1, which is undone
    folder of ``.txt``   one a face, a line a point: row, then column - y before x
    ==================== ===========================================================================================

    Raises:
        ValueError: It cannot be read, or a face has not 68 points; FileNotFoundError where there is none.
    """
    if not osp.exists(path):
        raise FileNotFoundError(f'landmark file {osp.abspath(path)} is missing; put it there, name another with '
                                'landmarks=..., or set landmarks=None for a method that needs none')
    kind = 'folder' if osp.isdir(path) else osp.splitext(path)[1].lower()
    reader = {'folder': _read_folder, '.npz': _read_npz, '.csv': _read_csv}.get(kind)
    if reader is None:
        raise ValueError(f'{path} is no known kind of landmark file; give a .npz, a .csv, or a folder of .pts or .txt')
    return reader(path)


def write_landmarks(path: str, names: Sequence[str], points: np.ndarray, score: np.ndarray | None = None) -> None:
    """Writes our ``.npz``. It replaces an older file only once it is complete."""
    points = np.asarray(points, dtype=np.float32)
    score = np.ones(len(points), dtype=np.float32) if score is None else np.asarray(score, dtype=np.float32)
    faces = _checked(path, np.asarray(names, dtype=np.str_), points, score)
    with open(f'{path}.part', 'wb') as stream:
        np.savez(stream, **faces._asdict())
    os.replace(f'{path}.part', path)


def landmarks_of(path: str, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 68, 2] and score [N] of the images ``names``.

    A row belongs to an image if their names agree, or agree without extension, or without RAF-DB's ``_aligned``.

    Raises:
        ValueError: Some image has no row.
    """
    faces = read_landmarks(path)
    rows = np.full(len(names), -1, dtype=np.int64)
    for key in (str, _stem, lambda name: _stem(name).removesuffix('_aligned')):
        unmatched = np.flatnonzero(rows < 0)
        if len(unmatched):
            row_of = _row_of([key(name) for name in faces.names.tolist()])
            rows[unmatched] = [row_of.get(key(name), -1) for name in names[unmatched].tolist()]
    lacking = names[rows < 0]
    if len(lacking):
        raise ValueError(
            f'landmark file {path} ({len(faces.names):,} rows) lacks {len(lacking):,} of {len(names):,} images: '
            f'{name_a_few(lacking.tolist())}; add a row for each (score 0 where no face was found), or name the file '
            'that belongs to these images with landmarks=...')
    if np.array_equal(rows, np.arange(len(faces.names))):
        return faces.points, faces.score
    return faces.points[rows], faces.score[rows]


def _stem(name: str) -> str:
    stem, extension = osp.splitext(name)  # a landmark file's name may have lost its extension already, and have dots
    return stem if extension.lower() in _IMAGE_EXTENSIONS else name


def _row_of(keys: list[str]) -> dict[str, int]:
    count = Counter(keys)  # a key that two rows share would be a guess
    return {key: row for row, key in enumerate(keys) if count[key] == 1}


def _checked(path: str, names: np.ndarray, points: np.ndarray, score: np.ndarray) -> LandmarkFile:
    if points.ndim != 3 or points.shape[1:] != (NUM_POINTS, 2):
        raise ValueError(f'landmark file {path} has points {list(points.shape)} instead of [N, {NUM_POINTS}, 2]; '
                         f'detect the landmarks again, {_ORDER}')
    if not len(names) == len(points) == len(score):
        raise ValueError(f'landmark file {path} has {len(names)} names, {len(points)} faces and {len(score)} scores; '
                         'these must agree: write the file again')
    unique, counts = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        twice = unique[counts > 1]
        raise ValueError(f'{path} lists {len(twice)} images more than once: {name_a_few(twice.tolist())}; keep one row')
    return LandmarkFile(names, points, score)


def _read_npz(path: str) -> LandmarkFile:
    try:
        if not zipfile.is_zipfile(path):  # np.load would advise to unpickle it
            raise ValueError('it is no archive')
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as arrays:
            lacking = [key for key in LandmarkFile._fields if key not in arrays]
            if lacking:
                raise ValueError(f'it has {", ".join(arrays.files)} but no {" and no ".join(lacking)}')
            names, points, score = (arrays[key] for key in LandmarkFile._fields)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is not a landmark file: {error}; expected an .npz of names, points [N, '
                         f'{NUM_POINTS}, 2] and score [N], without pickled objects') from None
    return _checked(path, names, points.astype(np.float32, copy=False), score.astype(np.float32, copy=False))


def _read_csv(path: str) -> LandmarkFile:
    header, *_ = [*read_lines(path), '']
    fields = [field.strip().lower() for field in next(csv.reader([header]), [])]
    wanted = [re.compile(rf'{axis}_?{i}') for i in range(NUM_POINTS) for axis in 'xy']
    place = {field: column for column, field in enumerate(fields)}
    name = next((place[key] for key in ('name', 'filename', 'file', 'image', 'path') if key in place), None)
    score = next((place[key] for key in ('score', 'confidence') if key in place), None)
    columns = [next((c for field, c in place.items() if pattern.fullmatch(field)), None) for pattern in wanted]
    if name is None or None in columns:
        raise ValueError(f'{path}:1: the header must be name,score,x0,y0,...,x{NUM_POINTS - 1},y{NUM_POINTS - 1} '
                         f'({_ORDER}; score may be left out), got {header[:80]!r}')

    def parse(line: str) -> tuple[str, list[float], float] | None:
        if line == header:
            return None
        cells = next(csv.reader([line]))
        if len(cells) != len(fields):
            raise ValueError(f'{len(cells)} fields')
        return cells[name].strip(), [float(cells[c]) for c in columns], 1. if score is None else float(cells[score])

    rows = [row for row in parse_lines(path, parse, f'{len(fields)} fields as in the header') if row is not None]
    names, points, scores = zip(*rows, strict=True) if rows else ((), (), ())
    points = np.array(points, dtype=np.float32).reshape(-1, NUM_POINTS, 2)
    return _checked(path, np.array(names, dtype=np.str_), points, np.array(scores, dtype=np.float32))


def _read_folder(path: str) -> LandmarkFile:
    files = sorted(osp.relpath(osp.join(folder, file), path).replace(os.sep, '/')
                   for folder, _, inside in os.walk(path) for file in inside)
    for suffix, read in (('.pts', _read_pts), ('.txt', _read_row_col)):
        chosen = [file for file in files if file.lower().endswith(suffix)]
        if chosen:
            return _read_each(path, chosen, read)
    raise ValueError(f'{path} has no .pts and no .txt file; name a folder of landmark files, or a .npz or .csv')


def _read_each(folder: str, files: list[str], read: Callable[[str], np.ndarray]) -> LandmarkFile:
    faces = [read(osp.join(folder, file)) for file in files]
    wrong = [f'{file} ({len(face)})' for file, face in zip(files, faces, strict=True) if len(face) != NUM_POINTS]
    if wrong:
        raise ValueError(f'{len(wrong):,} of {len(files):,} landmark files in {folder} have not {_ORDER}: '
                         f'{name_a_few(wrong)}; detect these again')
    names = np.array([osp.splitext(file)[0] for file in files], dtype=np.str_)
    return _checked(folder, names, np.stack(faces), np.ones(len(faces), dtype=np.float32))


def _pair(line: str) -> tuple[float, float]:
    first, second = line.replace(',', ' ').split()
    return float(first), float(second)


def _read_row_col(path: str) -> np.ndarray:
    pairs = parse_lines(path, _pair, "a point a line, row then column, '41.2 14.6'")
    return np.array(pairs, dtype=np.float32).reshape(-1, 2)[:, ::-1]


def _read_pts(path: str) -> np.ndarray:
    text = '\n'.join(read_lines(path))
    inside = re.search(r'\{(.*?)\}', text, re.DOTALL)
    try:
        points = [_pair(line) for line in inside.group(1).splitlines() if line.strip()] if inside else None
    except ValueError:
        points = None
    if points is None:
        raise ValueError(f"{path} is not a .pts file: expected '{{', a line 'x y' for each point, '}}'")
    return np.array(points, dtype=np.float32).reshape(-1, 2) - 1
