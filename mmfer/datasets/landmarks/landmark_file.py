"""Landmark files: reading what circulates, writing ours, finding each image's row.

Ours is an ``.npz`` without pickles: ``names`` [N] (image path relative to the image folder), ``points`` float32
[N, 68, 2] as (x, y) in pixels of the stored image with pixel centres at integers, ``score`` float32 [N], 0 where no
face was found.
"""

from __future__ import annotations

import os.path as osp
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mmfer.datasets.columns import Columns
from mmfer.datasets.landmarks.csv_file import read_csv
from mmfer.datasets.landmarks.folder import read_folder, read_lnd_npy
from mmfer.datasets.landmarks.formats import LandmarkFile, checked, read_npz, require_pixels
from mmfer.datasets.reading.files import IMAGE_EXTENSIONS, name_a_few
from mmfer.datasets.reading.names import normal_names
from mmfer.structures.whole_files import written_whole

__all__ = ['LandmarkFile', 'landmarks_of', 'read_landmarks', 'read_lnd_npy', 'write_landmarks']


def read_landmarks(path: str) -> LandmarkFile:
    """Reads a landmark file of any known kind.

    ==================== ===========================================================================================
    ``x.npz``            ours, see above
    ``x.csv``            a header ``name,score,x0,y0,...,x67,y67`` (``score`` optional; ``filename``, ``confidence``
                         and ``x_0`` pass as well), one face a line, parted by commas, semicolons or tabs, pixels
                         counted from 0
    folder of ``.pts``   iBUG's files, one a face; they count pixels from 1, which is undone
    folder of ``.txt``   one a face, a line a point: row, then column - y before x
    ``ID_lnd.npy``       a folder of AffectNet's, one a face
    ==================== ===========================================================================================

    Raises:
        ValueError: It cannot be read, a face has not 68 points, or they are no pixels; FileNotFoundError where there
            is none.
    """
    if not osp.exists(path):
        raise FileNotFoundError(
            f'landmark file {osp.abspath(path)} is missing; put it there, name another with '
            'landmarks=..., or set landmarks=None for a method that needs none'
        )
    kind = 'folder' if osp.isdir(path) else osp.splitext(path)[1].lower()
    reader = {'folder': read_folder, '.npz': read_npz, '.csv': read_csv}.get(kind)
    if reader is None:
        raise ValueError(
            f'{path} is no known kind of landmark file; give a .npz, a .csv, or a folder of .pts, .txt or '
            '_lnd.npy files'
        )
    faces = reader(path)
    require_pixels(path, faces)
    return faces


def write_landmarks(path: str, names: Sequence[str], points: np.ndarray, score: np.ndarray | None = None) -> None:
    """Writes our ``.npz``; its folder is made. It replaces an older file only once it is complete."""
    if not path.endswith('.npz'):
        raise ValueError(f'landmarks are written as .npz, got {path}')
    points = np.asarray(points, dtype=np.float32)
    score = np.ones(len(points), dtype=np.float32) if score is None else np.asarray(score, dtype=np.float32)
    faces = checked(path, np.asarray(names, dtype=np.str_), points, score)
    with written_whole(path, 'wb') as stream:
        np.savez(stream, **faces._asdict())


def landmarks_of(path: str, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 68, 2] and score [N] of the images ``names``.

    A row belongs to an image if their names agree (:mod:`mmfer.datasets.reading.names`), or agree without extension, or
    without RAF-DB's ``_aligned``.

    Raises:
        ValueError: Some image has no row.
    """
    faces = read_landmarks(path)
    rows = np.full(len(names), -1, dtype=np.int64)
    listed, wanted = normal_names(faces.names.tolist()), normal_names(names.tolist())
    for key in (str, _stem, lambda name: _stem(name).removesuffix('_aligned')):
        unmatched = np.flatnonzero(rows < 0).tolist()
        if unmatched:
            row_of = _row_of([key(name) for name in listed])
            rows[unmatched] = [row_of.get(key(wanted[row]), -1) for row in unmatched]
    lacking = names[rows < 0]
    if len(lacking):
        raise ValueError(
            f'landmark file {path} ({len(faces.names):,} rows) lacks {len(lacking):,} of {len(names):,} images: '
            f'{name_a_few(lacking.tolist())}; add a row for each (score 0 where no face was found), or name the file '
            'that belongs to these images with landmarks=...'
        )
    if np.array_equal(rows, np.arange(len(faces.names))):
        return faces.points, faces.score
    return faces.points[rows], faces.score[rows]


def _stem(name: str) -> str:
    stem, extension = osp.splitext(name)  # a landmark file's name may have lost its extension already, and have dots
    return stem if extension.lower() in IMAGE_EXTENSIONS else name


def _row_of(keys: list[str]) -> dict[str, int]:
    count = Counter(keys)  # a key that two rows share would be a guess
    return {key: row for row, key in enumerate(keys) if count[key] == 1}


def add_landmarks(columns: Columns, path: str | None) -> Columns:
    """Adds points, their score and validity: from a file, or those the format brings along, if any."""
    columns = dict(columns)
    if path is not None:
        columns['landmarks'], columns['landmark_score'] = landmarks_of(path, columns['name'])
    if 'landmarks' in columns:
        columns.setdefault('landmark_score', np.ones(len(columns['name']), dtype=np.float32))
        finite = np.isfinite(columns['landmarks']).all(axis=(1, 2))
        columns['landmark_valid'] = finite & (columns['landmark_score'] > 0)
        if len(finite) and not columns['landmark_valid'].any():
            raise ValueError(
                f'{path or "the data set"} has landmarks for none of the {len(finite):,} faces (all of '
                'score 0, or not a number): find them anew with tools/dataset_tools/landmarks.py, or set '
                'landmarks=None'
            )
    return columns
