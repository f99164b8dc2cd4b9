"""Folders with a landmark file a face."""

from __future__ import annotations

import os.path as osp
import re
from collections import Counter
from collections.abc import Callable

import numpy as np

from mmfer.datasets.images.listing import kind_of, list_files, say_passed_over
from mmfer.datasets.landmarks.formats import ORDER, LandmarkFile, checked, coordinates
from mmfer.datasets.reading.arrays import read_npy
from mmfer.datasets.reading.files import name_a_few
from mmfer.datasets.reading.lines import parse_lines, read_lines
from mmfer.structures.landmark_sets import NUM_POINTS


def read_folder(path: str) -> LandmarkFile:
    """A file a face; each is named like its image, without the ending. What is passed over is said."""
    files, passed = list_files(path, below=True, wanted=lambda name: True)
    for suffix, read in (('.pts', _read_pts), ('_lnd.npy', _read_lnd), ('.txt', _read_row_col)):
        chosen = [file for file in files if file.lower().endswith(suffix)]
        if chosen:
            others = Counter(kind_of(file) for file in files if not file.lower().endswith(suffix))
            say_passed_over(path, passed + others)
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


def xy_of(values: np.ndarray) -> np.ndarray:
    """Points float32 [L, 2] of an array of them, [L, 2], or x0, y0, x1, ... in a row.

    Raises:
        ValueError: It has another shape, such as [2, L], or is no array of numbers.
    """
    shape, values = values.shape, np.squeeze(values)
    if values.ndim != 1 and (values.ndim != 2 or values.shape[1] != 2):
        raise ValueError(f'its shape is {list(shape)} instead of [{NUM_POINTS}, 2] (x, then y) or [{2 * NUM_POINTS}]')
    return coordinates(values).reshape(-1, 2)


def _read_each(folder: str, files: list[str], suffix: str, read: Callable[[str], np.ndarray]) -> LandmarkFile:
    faces = [read(osp.join(folder, file)) for file in files]
    wrong = [f'{file} ({len(face)})' for file, face in zip(files, faces, strict=True) if len(face) != NUM_POINTS]
    if wrong:
        raise ValueError(
            f'{len(wrong):,} of {len(files):,} landmark files in {folder} have not {ORDER}: '
            f'{name_a_few(wrong)}; detect these again: python tools/dataset_tools/landmarks.py FOLDER OUT.npz'
        )
    names = np.array([file[: -len(suffix)] for file in files], dtype=np.str_)
    return checked(folder, names, np.stack(faces), np.ones(len(faces), dtype=np.float32))


def _pair(line: str) -> tuple[float, float]:
    first, second = line.replace(',', ' ').split()
    return float(first), float(second)


def _read_row_col(path: str) -> np.ndarray:
    pairs = parse_lines(path, _pair, "a point a line, row then column, '41.2 14.6'")
    return coordinates(pairs).reshape(-1, 2)[:, ::-1]


def _read_pts(path: str) -> np.ndarray:
    text = '\n'.join(read_lines(path))
    declared = re.search(r'n_points\s*:\s*([0-9]{1,9})', text)
    inside, closed, _ = text.partition('{')[2].partition('}')
    try:
        points = [_pair(line) for line in inside.splitlines() if line.strip()] if closed else None
    except ValueError:
        points = None
    if points is None:
        raise ValueError(f"{path} is not a .pts file: expected '{{', a line 'x y' for each point, '}}'")
    if declared and int(declared[1]) != len(points):
        raise ValueError(f'{path} says n_points: {declared[1]} and has {len(points)}; get this file again')
    return coordinates(points).reshape(-1, 2) - 1


def _read_lnd(path: str) -> np.ndarray:
    try:
        return xy_of(read_npy(path))
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path} is not one of AffectNet's landmark files: {error}; expected {2 * NUM_POINTS} numbers "
            'without pickled objects'
        ) from None
