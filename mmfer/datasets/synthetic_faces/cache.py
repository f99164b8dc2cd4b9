"""Keeps drawn faces on disk."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.reading.arrays import map_npy, read_npz

Drawn = tuple[np.ndarray, dict[str, np.ndarray]]
_FILES = 2
"""Rises with what is written into them, so that earlier ones are not taken for damaged ones."""


def cached(folder: str | None, recipe: Mapping[str, Any], draw: Callable[[], Drawn]) -> Drawn:
    """Returns the pictures and columns of a recipe, from disk where they are there and whole.

    Pictures are mapped into memory, not read. Files appear under their names only when complete, so that several
    processes may draw the same faces at the same time. Damaged files are drawn again, with a warning.

    Args:
        folder: Where to keep them; None keeps nothing.
        recipe: All that the pictures depend on; its hash names the files.
        draw: Makes pictures uint8 [N, H, W, 3] and columns [N, ...].
    """
    if folder is None:
        return draw()
    known = dict(recipe, files=_FILES)
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    stem = Path(folder).expanduser() / f'{recipe["split"]}_{recipe["num"]}x{recipe["size"]}px_{key}'
    images, columns = stem.with_suffix('.npy'), stem.with_suffix('.npz')
    if columns.exists():
        try:
            return _read(images, columns)
        except Exception as error:  # whatever a damaged file makes them stumble over
            _warn(f'The drawn faces {stem}.np[yz] are damaged ({error}); drawing them again.')
    drawn = draw()
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        _write(images, lambda file: np.save(file, drawn[0], allow_pickle=False))
        _write(columns, lambda file: np.savez(file, checksum=_checksum(*drawn), **drawn[1]))
        return _read(images, columns)
    except OSError as error:
        _warn(
            f'The drawn faces could not be kept in {folder} ({error}) and will be drawn again next time; '
            'give SyntheticFaces(cache_dir=...) a folder that can be written, or None.'
        )
    return drawn


def _read(images: Path, columns: Path) -> Drawn:
    table = read_npz(columns)
    pictures = map_npy(images)
    if pictures.dtype != np.uint8 or table.pop('checksum') != _checksum(pictures, table):
        raise ValueError('the checksum differs')
    return pictures, table


def _write(path: Path, save: Callable[[Any], None]) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    try:
        with os.fdopen(handle, 'wb') as file:
            save(file)
        # mkstemp's files are for their owner only; a shared cache is for everyone who may read the folder.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _checksum(pictures: np.ndarray, columns: Iterable[str]) -> np.int64:
    """Of the pictures, and of which columns there are: an archive has a checksum of each, and none of its list."""
    return np.int64(zlib.crc32(f'{pictures.shape} {sorted(columns)}'.encode(), zlib.crc32(pictures)))


def _warn(text: str) -> None:
    print_log(text, logger='current', level=30)
