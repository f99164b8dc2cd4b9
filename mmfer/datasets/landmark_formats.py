"""The kinds of landmark files that circulate, each read into the same rows."""

from __future__ import annotations

import csv
import os
import os.path as osp
import re
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mmfer.structures.landmark_sets import NUM_POINTS

from .files import name_a_few, parse_lines, read_lines

ORDER = f'{NUM_POINTS} points in the order of iBUG 300-W'


class LandmarkFile(NamedTuple):
    """Rows of a landmark file: ``names`` [N] str, ``points`` float32 [N, 68, 2], ``score`` float32 [N]."""

    names: np.ndarray
    points: np.ndarray
    score: np.ndarray


def checked(path: str, names: np.ndarray, points: np.ndarray, score: np.ndarray) -> LandmarkFile:
    """The rows, or ValueError where they do not belong together."""
    if points.ndim != 3 or points.shape[1:] != (NUM_POINTS, 2):
        raise ValueError(
            f'landmark file {path} has points {list(points.shape)} instead of [N, {NUM_POINTS}, 2]; '
            f'detect the landmarks again, {ORDER}'
        )
    if not len(names) == len(points) == len(score):
        raise ValueError(
            f'landmark file {path} has {len(names)} names, {len(points)} faces and {len(score)} scores; '
            'these must agree: write the file again'
        )
    unique, counts = np.unique(names, return_counts=True)
    if len(unique) < len(names):
        twice = unique[counts > 1]
        raise ValueError(f'{path} lists {len(twice)} images more than once: {name_a_few(twice.tolist())}; keep one row')
    return LandmarkFile(names, points, score)


def read_npz(path: str) -> LandmarkFile:
    """Ours."""
    try:
        if not zipfile.is_zipfile(path):  # np.load would advise to unpickle it
            raise ValueError('it is no archive')
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as arrays:
            lacking = [key for key in LandmarkFile._fields if key not in arrays]
            if lacking:
                raise ValueError(f'it has {", ".join(arrays.files)} but no {" and no ".join(lacking)}')
            names, points, score = (arrays[key] for key in LandmarkFile._fields)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'{path} is not a landmark file: {error}; expected an .npz of names, points [N, '
            f'{NUM_POINTS}, 2] and score [N], without pickled objects'
        ) from None
    return checked(path, names, points.astype(np.float32, copy=False), score.astype(np.float32, copy=False))


def read_csv(path: str) -> LandmarkFile:
    """A face a line, columns in any order."""
    header, *_ = [*read_lines(path), '']
    fields = [field.strip().lower() for field in next(csv.reader([header]), [])]
    wanted = [re.compile(rf'{axis}_?{i}') for i in range(NUM_POINTS) for axis in 'xy']
    place = {field: column for column, field in enumerate(fields)}
    name = next((place[key] for key in ('name', 'filename', 'file', 'image', 'path') if key in place), None)
    score = next((place[key] for key in ('score', 'confidence') if key in place), None)
    columns = [next((c for field, c in place.items() if pattern.fullmatch(field)), None) for pattern in wanted]
    if name is None or None in columns:
        raise ValueError(
            f'{path}:1: the header must be name,score,x0,y0,...,x{NUM_POINTS - 1},y{NUM_POINTS - 1} '
            f'({ORDER}; score may be left out), got {header[:80]!r}'
        )

    def parse(line: str) -> tuple[str, list[float], float] | None:
        if line == header:
            return None
        cells = next(csv.reader([line]))
        if len(cells) != len(fields):
            raise ValueError(f'{len(cells)} fields')
        return cells[name].strip(), [float(cells[c]) for c in columns], 1.0 if score is None else float(cells[score])

    rows = [row for row in parse_lines(path, parse, f'{len(fields)} fields as in the header') if row is not None]
    names, points, scores = zip(*rows, strict=True) if rows else ((), (), ())
    points = np.array(points, dtype=np.float32).reshape(-1, NUM_POINTS, 2)
    return checked(path, np.array(names, dtype=np.str_), points, np.array(scores, dtype=np.float32))


def read_folder(path: str) -> LandmarkFile:
    """A file a face; each is named like its image, without the ending."""
    files = sorted(
        osp.relpath(osp.join(folder, file), path).replace(os.sep, '/')
        for folder, _, inside in os.walk(path)
        for file in inside
    )
    for suffix, read in (('.pts', _read_pts), ('_lnd.npy', _read_lnd), ('.txt', _read_row_col)):
        chosen = [file for file in files if file.lower().endswith(suffix)]
        if chosen:
            return _read_each(path, chosen, suffix, read)
    raise ValueError(
        f'{path} has no .pts, no _lnd.npy and no .txt file; name a folder of landmark files, or a .npz or .csv'
    )


def read_lnd_npy(path: str) -> np.ndarray:
    """One of AffectNet's ``ID_lnd.npy``, in pixels of ``ID.jpg``.

    Shapes [68, 2], [136] and [136, 1] are in use (x0, y0, x1, ...), as numbers or as text.

    Returns:
        float32 [68, 2].

    Raises:
        ValueError: It is no such file.
    """
    points = _read_lnd(path)
    if len(points) != NUM_POINTS:
        raise ValueError(f'{path} has {len(points)} points instead of {ORDER}; detect this face again')
    return points


def _read_each(folder: str, files: list[str], suffix: str, read: Callable[[str], np.ndarray]) -> LandmarkFile:
    faces = [read(osp.join(folder, file)) for file in files]
    wrong = [f'{file} ({len(face)})' for file, face in zip(files, faces, strict=True) if len(face) != NUM_POINTS]
    if wrong:
        raise ValueError(
            f'{len(wrong):,} of {len(files):,} landmark files in {folder} have not {ORDER}: '
            f'{name_a_few(wrong)}; detect these again'
        )
    names = np.array([file[: -len(suffix)] for file in files], dtype=np.str_)
    return checked(folder, names, np.stack(faces), np.ones(len(faces), dtype=np.float32))


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


def _read_lnd(path: str) -> np.ndarray:
    try:
        with open(path, 'rb') as stream:
            if stream.read(6) != b'\x93NUMPY':  # np.load would advise to unpickle it
                raise ValueError('it is no .npy')
            stream.seek(0)
            values = np.load(stream, allow_pickle=False)
        return values.astype(np.float32).reshape(-1, 2)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"{path} is not one of AffectNet's landmark files: {error}; expected {2 * NUM_POINTS} numbers "
            'without pickled objects'
        ) from None
