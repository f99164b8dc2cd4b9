"""Looks at every picture of a dataset before a run starts, so that none stops it in the middle of the night."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

from mmfer.datasets.images.jpeg_scans import decoder_warnings
from mmfer.datasets.images.pictures import Look, look_at
from mmfer.datasets.reading.arrays import read_npz
from mmfer.datasets.reading.cache_place import cache_file
from mmfer.progress import ProgressBar
from mmfer.structures.whole_files import written_whole

_THREADS = 16
"""A network disk answers many questions at once."""
_CHUNK = 64
_VERSION = '3'
"""Of what is looked at: what an earlier one has found in order does not count."""


class ImageCheck(NamedTuple):
    """What was found: ``size`` int32 [N, 2] as (width, height), zeros where unknown, and the bad rows' faults."""

    size: np.ndarray
    rows: np.ndarray
    faults: np.ndarray


def check_images(folder: str, names: Sequence[str], title: str = 'images') -> ImageCheck:
    """Looks at the header and the end of every picture, which finds all faults but those in the middle of the data.

    Progressive JPEGs are decoded: of them reading does not tell whether something is missing inside.

    The result is kept in ``$MMFER_CACHE`` (default ``~/.cache/mmfer``; empty: nowhere), and holds as long as no
    name, file size or modification time changes.

    Args:
        folder: Of the pictures.
        names: Their paths in it, N.
        title: What the progress bar says.
    """
    folder = os.path.abspath(folder)
    paths = [os.path.join(folder, str(name)) for name in names]
    state = np.array(list(_each(_state, paths, f'{title}: looking for changes')), dtype=np.int64).reshape(-1, 2)
    digest = hashlib.sha256('\n'.join([_VERSION, PIL.__version__, *paths]).encode(errors='surrogateescape'))
    memory = cache_file('checked_images', digest.hexdigest())
    digest.update(state.astype('<i8').tobytes())
    known = _recall(memory, digest.hexdigest())
    if known is not None:
        return known
    looks = list(_each(look_at, paths, f'{title}: checking'))
    decoded = [row for row, look in enumerate(looks) if look.progressive and not look.fault]
    warnings = decoder_warnings([paths[row] for row in decoded], f'{title}: decoding progressive JPEGs')
    for place, text in warnings.items():
        looks[decoded[place]] = Look(fault=f'damaged ({text})')
    rows = [row for row, look in enumerate(looks) if look.fault]
    found = ImageCheck(
        np.array([look.size for look in looks], dtype=np.int32).reshape(-1, 2),
        np.array(rows, dtype=np.int64),
        np.array([looks[row].fault for row in rows], dtype=np.str_),
    )
    if not any(fault.startswith('unreadable') for fault in found.faults):  # the disk's fault, which may pass
        _remember(memory, digest.hexdigest(), found)
    return found


def _state(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _each(look: Callable[..., Any], paths: list[str], title: str) -> Iterator[Any]:
    """``map`` in threads, in order, with a bar where it takes a while."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool, ProgressBar(total=len(paths), desc=title, unit='image') as bar:
        for results in pool.map(lambda chunk: [look(path) for path in chunk], chunks):
            bar.update(len(results))
            yield from results


def _recall(memory: Path | None, state: str) -> ImageCheck | None:
    if memory is None:
        return None
    try:
        arrays = read_npz(memory)
        if str(arrays['state']) == state:
            return ImageCheck(*(arrays[key] for key in ImageCheck._fields))
    except Exception:  # not there or damaged: a check more does no harm
        return None
    return None


def _remember(memory: Path | None, state: str, found: ImageCheck) -> None:
    if memory is None:
        return
    try:
        with written_whole(memory, 'wb', part=f'{os.getpid()}.part') as stream:  # every rank writes
            np.savez_compressed(stream, state=np.array(state), **found._asdict())
    except OSError:  # a home that cannot be written to: the next start checks again
        pass
