"""What was found in a few images, kept while the landmarks of a folder are looked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfer.datasets.reading.arrays import read_npz
from mmfer.structures.whole_files import written_whole


def write_chunk(path: Path, points: np.ndarray, score: np.ndarray, reasons: Sequence[str]) -> None:
    """Keeps points [n, 68, 2], scores [n] and why there are none, '' where there are, of n images."""
    with written_whole(path, 'wb') as stream:
        np.savez(stream, points=points, score=score, reasons=np.array(reasons, dtype=np.str_))


def read_chunk(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Points, scores and reasons of the images of these names, as they were written.

    Raises:
        OSError, ValueError: They are not there, or not whole.
    """
    arrays = list(read_npz(path, ('points', 'score', 'reasons')).values())
    if any(len(array) != len(names) for array in arrays):
        raise ValueError(f'{path} is not of {len(names)} images')
    return arrays


def kept_chunk(path: Path, names: Sequence[str]) -> list[np.ndarray] | None:
    """:func:`read_chunk`; None where that fails in whatever way: then they are found again."""
    try:
        return read_chunk(path, names)
    except Exception:
        return None
