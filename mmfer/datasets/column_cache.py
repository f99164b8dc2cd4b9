"""Columns that take long to read, kept for the next time."""
from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from .files import names_array


def cached_columns(source: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What ``make`` reads from ``source``; kept in ``$MMFER_CACHE`` (default ``~/.cache/mmfer``; empty: nowhere).

    Args:
        source: The file or folder. Columns are read anew when its time of change or its size is another: that of a
            folder changes when files come, go or are replaced, not when one is written over in place.
        make: Reads the columns; ``name`` is the only one of strings.
    """
    state = os.stat(source)
    stamp = f'mmfer columns 1: {state.st_mtime_ns} {state.st_size}'
    path = _cache_file(source)
    columns = None if path is None else _recall(path, stamp)
    if columns is None:
        columns = make()
        if path is not None:
            _remember(path, stamp, columns)
    return columns


def _cache_file(source: str) -> Path | None:
    folder = os.environ.get('MMFER_CACHE', '~/.cache/mmfer')
    key = hashlib.sha256(os.path.realpath(source).encode(errors='surrogateescape')).hexdigest()
    return Path(folder).expanduser() / 'columns' / f'{key[:20]}.npz' if folder else None


def _recall(path: Path, stamp: str) -> dict[str, np.ndarray] | None:
    try:
        with path.open('rb') as stream, np.load(stream, allow_pickle=False) as stored:
            if str(stored['stamp']) != stamp:
                return None
            columns = {key: stored[key] for key in stored.files if key != 'stamp'}
        return {**columns, 'name': names_array(columns['name'].tobytes().decode().split('\n'))}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there or damaged: it is written again
        return None


def _remember(path: Path, stamp: str, columns: dict[str, np.ndarray]) -> None:
    names = np.frombuffer('\n'.join(columns['name'].tolist()).encode(), dtype=np.uint8)
    part = path.with_name(f'{path.name}.{os.getpid()}.part')  # every rank writes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open('wb') as stream:
            np.savez(stream, stamp=np.array(stamp), **{**columns, 'name': names})
        part.replace(path)
    except OSError as error:
        print_log(f'{path} cannot be written ({error.strerror}): annotations are read anew every time',
                  logger='current')
