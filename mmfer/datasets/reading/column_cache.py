"""Columns that take long to read, kept for the next time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.reading.arrays import read_npz
from mmfer.datasets.reading.cache_place import cache_file
from mmfer.datasets.reading.files import names_array
from mmfer.structures.whole_files import written_whole


def cached_columns(source: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``make`` reads from ``source``; kept in ``$MMFER_CACHE`` (default ``~/.cache/mmfer``; empty: nowhere).

    Args:
        source: The file or folder. Columns are read anew when its time of change or its size is another: that of a
            folder changes when files come, go or are replaced, not when one is written over in place.
        make: Reads the columns; ``name`` is the only one of strings.
    """
    state = os.stat(source)
    stamp = f'mmfer columns 3: {state.st_mtime_ns} {state.st_size}'
    key = hashlib.sha256(os.path.realpath(source).encode(errors='surrogateescape')).hexdigest()
    path = cache_file('columns', key)
    columns = None if path is None else _recall(path, stamp)
    if columns is None:
        columns = make()
        if path is not None:
            _remember(path, stamp, columns)
    return columns


def _recall(path: Path, stamp: str) -> dict[str, np.ndarray] | None:
    try:
        columns = read_npz(path)
        if str(columns.pop('stamp')) != _with_names(stamp, columns):
            return None
        return {**columns, 'name': names_array(columns['name'].tobytes().decode().split('\n'))}
    except Exception:  # not there, or damaged in whatever way: it is written again
        return None


def _with_names(stamp: str, columns: Iterable[str]) -> str:
    """Says which columns there are, too: an archive has a checksum of each, and none of its list of them."""
    return f'{stamp} {" ".join(sorted(columns))}'


def _remember(path: Path, stamp: str, columns: dict[str, np.ndarray]) -> None:
    names = np.frombuffer('\n'.join(columns['name'].tolist()).encode(), dtype=np.uint8)
    try:
        with written_whole(path, 'wb', part=f'{os.getpid()}.part') as stream:  # every rank writes
            np.savez(stream, stamp=np.array(_with_names(stamp, columns)), **{**columns, 'name': names})
    except OSError as error:
        print_log(
            f'{path} cannot be written ({error.strerror}): annotations are read anew every time', logger='current'
        )
