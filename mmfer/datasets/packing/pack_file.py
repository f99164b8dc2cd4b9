"""The file format of packed images: a JSON header, then plain arrays, laid out as safetensors does."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmfer.datasets.packing.checksums import COLUMNS_SUM, IMAGE, IMAGE_SUMS, check_columns, columns_sum, image_sums

Columns = dict[str, np.ndarray]

FORMAT = 'mmfer pack 2'
_DTYPES = {'I64': np.dtype('<i8'), 'I32': np.dtype('<i4'), 'F32': np.dtype('<f4'), 'U8': np.dtype('u1')}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_BEGIN = b'{"__metadata__": {"format": "mmfer pack '
_CHUNK = 256
_LONGEST_HEADER = 10_000_000
"""Bytes: a thousand times what ours take."""


def read_pack(path: str | Path) -> tuple[dict[str, str], Columns]:
    """Metadata and arrays of a pack. The arrays are views of one memory map, so that nothing is read yet.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no pack, or not whole.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'there is no pack {path}: make it with python tools/dataset_tools/pack.py CONFIG '
            f'{path}, or take packed=... out'
        )
    try:
        data = np.asarray(np.memmap(path, np.uint8, mode='r'))
        start = 8 + int.from_bytes(data[:8].tobytes(), 'little')
        if start > _LONGEST_HEADER:
            raise ValueError(start)
        header = json.loads(data[8:start].tobytes())
        metadata = header.pop('__metadata__')
        arrays, end = {}, 0
        for name, entry in header.items():
            first, last = (start + offset for offset in entry['data_offsets'])
            dtype, shape = _DTYPES[entry['dtype']], tuple(entry['shape'])
            if min(shape, default=0) < 0 or first > last:
                raise ValueError(name)
            arrays[name] = np.frombuffer(data[first:last], dtype, math.prod(shape)).reshape(shape)
            end = max(end, last)
        if metadata['format'] != FORMAT or end != len(data):
            raise ValueError(metadata['format'])
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError(metadata)
        if len(arrays[IMAGE_SUMS]) != len(arrays[IMAGE]) or arrays[COLUMNS_SUM].shape != (1,):
            raise ValueError(arrays.keys())
    except OSError:  # the disk's fault, not the file's
        raise
    except Exception:  # a header may say anything
        raise ValueError(
            f'{path} is no whole pack of mmfer ({FORMAT}): copy it again, or pack again: python '
            f'tools/dataset_tools/pack.py CONFIG {path}'
        ) from None
    return metadata, arrays


def join_names(names: list[str]) -> np.ndarray:
    """Names as bytes uint8: UTF-8 (or whatever the file system has), a zero after each."""
    return np.frombuffer(b''.join(os.fsencode(name) + b'\0' for name in names), np.uint8)


def split_names(data: np.ndarray) -> list[str]:
    """The inverse of :func:`join_names`."""
    return os.fsdecode(data.tobytes()).split('\0')[:-1]


def write_pack(
    path: str | Path,
    known: Columns,
    found: Columns,
    shape: tuple[int, int],
    metadata: Mapping[str, str],
    decode: Callable[[int, int], tuple[np.ndarray, Columns]],
    progress: Callable[[int], object] = lambda done: None,
) -> bool:
    """Writes a pack, or goes on with one that was cut off.

    Images are appended in order to ``path.part``, so that its length says how many are done. What was found out about
    them is written in front of them, and they follow only when that has reached the disk. A pack that is there is
    compared with its checksums, and written anew where it differs.

    Args:
        path: The file to write.
        known: What is known before any image is decoded: arrays of int64, int32, float32 or uint8.
        found: What is known afterwards, likewise; zeros [N, ...] for now.
        shape: Height and width of the packed images.
        metadata: For the header. A file with the same header is taken for the same file, so that this must hold a hash
            of all that the pack depends on.
        decode: Gives, of images ``first`` to ``last``, uint8 [n, 3, H, W] and the rows of ``found``.
        progress: Is told how many images are done.

    Returns:
        Whether it wrote; not where the file was there already, and whole.

    Raises:
        ValueError: There is another file of this name, no pack.
    """
    # Widest first: then every array begins at a multiple of its own item.
    total = len(next(iter(found.values())))
    sums = {IMAGE_SUMS: np.zeros(total, np.int64), COLUMNS_SUM: np.zeros(1, np.int64)}
    arrays = dict(sorted({**known, **found, **sums}.items(), key=lambda item: -item[1].dtype.itemsize))
    header, offsets = _header(arrays, (total, 3, *shape), metadata)
    body = b''.join(array.astype(array.dtype.newbyteorder('<')).tobytes() for array in arrays.values())
    start, one = len(header) + len(body), 3 * math.prod(shape)
    path, part = Path(path), Path(f'{path}.part')
    if path.exists():
        with open(path, 'rb') as file:
            begin = file.read(len(header))
        if begin[8 : 8 + len(_BEGIN)] != _BEGIN:
            raise ValueError(f'{path} is there and is no pack: give another name, or delete it')
        if begin == header and is_whole(path):
            return False
    part.parent.mkdir(parents=True, exist_ok=True)
    with open(part, 'r+b' if part.exists() else 'w+b') as file:
        size = part.stat().st_size
        if size < start or file.read(len(header)) != header:
            file.seek(0)
            file.truncate()
            file.write(header + body)
            size = start
        done = (size - start) // one
        file.truncate(start + done * one)
        progress(done)
        while done < total:
            images, rows = decode(done, min(done + _CHUNK, total))
            for name, values in {**rows, IMAGE_SUMS: image_sums(images)}.items():
                values = np.asarray(values, arrays[name].dtype.newbyteorder('<'))
                file.seek(offsets[name] + done * (values.nbytes // len(values)))
                file.write(values.tobytes())
            file.flush()
            os.fsync(file.fileno())
            file.seek(start + done * one)
            file.write(np.ascontiguousarray(images))
            file.flush()
            done += len(images)
            progress(done)
        file.seek(offsets[COLUMNS_SUM])
        file.write(np.array(columns_sum(*read_pack(part)), '<i8').tobytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    return True


def is_whole(path: str | Path) -> bool:
    """Whether all of a pack is as it was written; reads it from beginning to end."""
    try:
        metadata, arrays = read_pack(path)
        check_columns(path, metadata, arrays)
    except ValueError:
        return False
    return np.array_equal(image_sums(arrays[IMAGE]), arrays[IMAGE_SUMS])


def _header(arrays: Columns, images: tuple[int, ...], metadata: Mapping[str, str]) -> tuple[bytes, dict[str, int]]:
    """The header, and where each array begins in the file."""
    entries: dict[str, dict[str, Any]] = {'__metadata__': {'format': FORMAT, **metadata}}
    offsets, end = {}, 0
    specs = [(name, array.dtype, array.shape) for name, array in arrays.items()]
    for name, dtype, shape in [*specs, (IMAGE, np.dtype(np.uint8), images)]:
        offsets[name], end = end, end + dtype.itemsize * math.prod(shape)
        entries[name] = dict(dtype=_CODES[dtype], shape=list(shape), data_offsets=[offsets[name], end])
    text = json.dumps(entries).encode()
    text += b' ' * (-(8 + len(text)) % 64)  # safetensors allows blanks; the arrays then begin at a multiple of 64
    header = len(text).to_bytes(8, 'little') + text
    return header, {name: len(header) + offset for name, offset in offsets.items()}
