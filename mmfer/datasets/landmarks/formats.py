"""What every landmark file is read into, and what it must be; our own kind of file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmfer.datasets.reading.arrays import read_npz as read_arrays
from mmfer.datasets.reading.files import name_a_few
from mmfer.datasets.reading.names import normal_names
from mmfer.structures.landmark_sets import NUM_POINTS

ORDER = f'{NUM_POINTS} points in the order of iBUG 300-W'
_OTHERS = {
    19: 'AFLW',
    21: 'AFLW',
    29: 'COFW',
    51: 'iBUG without the jaw',
    98: 'WFLW',
    106: 'JD-landmark',
    194: 'HELEN',
    468: 'MediaPipe',
    478: 'MediaPipe',
}
_SHARES = 1.5
"""Coordinates that are all smaller are no pixels."""
_FAR = 1e6
"""Coordinates that are larger are none of a picture."""


def other_points(count: int) -> str:
    """What is to say of another number of points than 68: the first 68 of them would be other places of the face."""
    return (
        f'there are {count} points{_whose(count)} instead of {ORDER}; find the landmarks anew: python '
        'tools/dataset_tools/landmarks.py FOLDER OUT.npz'
    )


def _whose(count: int) -> str:
    return f' (as {_OTHERS[count]} has)' if count in _OTHERS else ''


class LandmarkFile(NamedTuple):
    """Rows of a landmark file: ``names`` [N] str, ``points`` float32 [N, 68, 2], ``score`` float32 [N]."""

    names: np.ndarray
    points: np.ndarray
    score: np.ndarray


def checked(path: str, names: np.ndarray, points: np.ndarray, score: np.ndarray) -> LandmarkFile:
    """The rows, or ValueError where they do not belong together."""
    if points.ndim != 3 or points.shape[1:] != (NUM_POINTS, 2):
        whose = _whose(points.shape[1]) if points.ndim == 3 else ''
        raise ValueError(
            f'landmark file {path} has points {list(points.shape)}{whose} instead of [N, {NUM_POINTS}, 2]; '
            f'detect the landmarks again, {ORDER}'
        )
    for key, column in (('names', names), ('score', score)):
        if column.ndim != 1:
            cure = (
                f'{key}.reshape(-1)' if column.size == len(points) else f'{key}.mean(axis=1), or what stands for a face'
            )
            raise ValueError(
                f'landmark file {path} has {key} {list(column.shape)} instead of [{len(points)}], one of each face: '
                f'write {cure}'
            )
    if not len(names) == len(points) == len(score):
        raise ValueError(
            f'landmark file {path} has {len(names)} names, {len(points)} faces and {len(score)} scores; '
            'these must agree: write the file again'
        )
    unique, counts = np.unique(normal_names([str(name) for name in names]), return_counts=True)
    if len(unique) < len(names):
        twice = unique[counts > 1]
        raise ValueError(f'{path} lists {len(twice)} images more than once: {name_a_few(twice.tolist())}; keep one row')
    return LandmarkFile(names, points, score)


def require_pixels(path: str, faces: LandmarkFile) -> None:
    """Refuses coordinates in shares of the image, which would put every face into its first pixel.

    Raises:
        ValueError: Those of most faces are.
    """
    valid = (faces.score > 0) & np.isfinite(faces.points).all(axis=(1, 2))
    points = faces.points[valid]
    shares = (np.abs(points).max(axis=(1, 2)) <= _SHARES) & (np.ptp(points, axis=1).max(axis=1) > 0)
    if len(points) and shares.mean() > 0.5:
        low, high = points[shares].min(), points[shares].max()
        raise ValueError(
            f'the coordinates of {path} lie between {low:.2f} and {high:.2f}: they are shares of the image, not '
            'pixels; multiply x by the width and y by the height of each image, and take off .5'
        )


def read_npz(path: str) -> LandmarkFile:
    """Ours."""
    try:
        arrays = read_arrays(path, LandmarkFile._fields)
        names = arrays['names']
        if names.dtype.kind != 'U':
            kind = 'bytes' if names.dtype.kind == 'S' else 'numbers'
            raise ValueError(f'its names are {kind}, not text: write names.astype(str)')
        points, score = coordinates(arrays['points']), float32(arrays['score'])
    except (ValueError, OSError) as error:
        raise ValueError(
            f'{path} is not a landmark file: {error}; expected an .npz of names, points [N, '
            f'{NUM_POINTS}, 2] and score [N], without pickled objects'
        ) from None
    return checked(path, names, points, score)


def float32(values: Any) -> np.ndarray:
    """Numbers, or texts of numbers, as float32; infinite where they are larger than it can hold.

    Raises:
        ValueError: Some text is no number.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        return np.asarray(values).astype(np.float32, copy=False)


def coordinates(values: Any) -> np.ndarray:
    """:func:`float32` of pixels; NaN, as of a face that was not found, where they lie beyond any picture."""
    points = float32(values)
    far = np.abs(points) > _FAR
    return np.where(far, np.float32(np.nan), points) if far.any() else points
