"""numpy's files, as others write them: nothing that they say is believed before it was held against their size."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Sequence
from typing import IO, Literal, NamedTuple

import numpy as np

from mmfer.datasets.reading.files import require_regular_file

_KINDS = 'biufSU'
"""Of numpy's types: numbers and texts. All others are pickles, or nothing that a reader here waits for."""
_LAST_LETTER = 0x10FFFF
_AT_ONCE = 1 << 20
_UNPACKED, _TIMES = 1 << 28, 100
"""Bytes that a compressed archive may unpack to, and how many times its own size where that is more: landmarks take 2,
names 20, nothing but zeros 1,000."""


def read_npy(path: str | os.PathLike[str], at_most: int = 1 << 20) -> np.ndarray:
    """The array of a ``.npy``.

    Args:
        path: The file.
        at_most: Bytes that it may have. Defaults to 1 MiB: of one face nothing takes more.

    Raises:
        OSError: There is no such file, or the disk does not give it.
        ValueError: It is damaged, too large, or has something else than numbers or texts. The message does not name
            the file.
    """
    there = require_regular_file(path).st_size
    if there > at_most:
        raise ValueError(f'it has {there:,} bytes, and {at_most:,} would be many')
    with open(path, 'rb') as stream:
        return _array(stream, there)


def map_npy(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of a ``.npy`` of any size, mapped into memory, not read; read-only.

    Raises:
        OSError, ValueError: As :func:`read_npy`.
    """
    there = require_regular_file(path).st_size
    with open(path, 'rb') as stream:
        dtype, shape, order, _ = _header(stream, there)
        return np.asarray(np.memmap(stream, dtype, 'r', stream.tell(), shape, order))


def read_npz(path: str | os.PathLike[str], keys: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, compressed or not, each held against its checksum.

    Args:
        path: The file.
        keys: Arrays that it must have; others are not looked at. Defaults to None: all there are.

    Raises:
        OSError: There is no such file, or the disk does not give it.
        ValueError: It is damaged, lacks an array, or has something else than numbers or texts. The message does not
            name the file.
    """
    size = require_regular_file(path).st_size
    with open(path, 'rb') as stream:
        try:  # whatever zipfile stumbles over, also where it only looks: it was written for archives that are whole
            archive = zipfile.ZipFile(stream) if zipfile.is_zipfile(stream) else None
            members = {} if archive is None else {i.filename.removesuffix('.npy'): i for i in archive.infolist()}
        except Exception as error:
            raise ValueError(f'it is a damaged archive ({_reason(error)})') from None
        if archive is None:
            raise ValueError('it is no archive')
        lacking = [key for key in keys or () if key not in members]
        if lacking:
            raise ValueError(f'it has {", ".join(members)[:200]} but no {" and no ".join(lacking)}')
        chosen = {key: members[key] for key in (members if keys is None else keys)}
        unpacked = sum(info.file_size for info in chosen.values())
        if unpacked > max(size, _UNPACKED, _TIMES * size):
            raise ValueError(f'its {size:,} bytes would become {unpacked:,}: no archive of arrays is packed so tightly')
        return {key: _member(archive, key, info) for key, info in chosen.items()}


def _member(archive: zipfile.ZipFile, key: str, info: zipfile.ZipInfo) -> np.ndarray:
    stored = info.compress_type == zipfile.ZIP_STORED
    if stored and info.file_size != info.compress_size:
        raise ValueError(f'{key} is damaged (it says {info.file_size:,} bytes and has {info.compress_size:,})')
    try:
        with archive.open(info) as stream:
            array = _array(stream, info.file_size)
            if stream.read(1):  # zipfile looks at the checksum when all is read
                raise ValueError('it has more bytes than it says')
        return array
    except Exception as error:  # zlib's, struct's, zipfile's, ...
        raise ValueError(f'{key} cannot be read ({_reason(error)})') from None


class _Header(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal['F', 'C']
    values: int


def _header(stream: IO[bytes], there: int) -> _Header:
    """What the array is that begins where a stream of so many bytes is."""
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError:
        raise ValueError('it is no .npy') from None
    try:
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(stream)
    except Exception as error:  # numpy has Python read it, which has many ways to fail
        raise ValueError(f'its header is damaged ({_reason(error)})') from None
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        kind = 'pickled objects' if dtype.hasobject else f'values of the type {dtype}'
        raise ValueError(f'it holds {kind}, neither numbers nor texts')
    count, there = math.prod(shape), there - stream.tell()
    if any(length < 0 for length in shape) or (count and not dtype.itemsize) or count * dtype.itemsize > there:
        said = f'{list(shape)}'[:80]
        raise ValueError(f'it says that it holds {said} values of {dtype.itemsize} bytes, and has {there:,} bytes')
    return _Header(dtype, shape, 'F' if by_columns else 'C', count)


def _array(stream: IO[bytes], there: int) -> np.ndarray:
    dtype, shape, order, count = _header(stream, there)
    array = np.empty(count, dtype)
    data = array.view(np.uint8).data if count else memoryview(b'')
    for start in range(0, len(data), _AT_ONCE):
        part = stream.read(min(_AT_ONCE, len(data) - start))
        if len(part) < min(_AT_ONCE, len(data) - start):
            raise ValueError('it is cut off')
        data[start : start + len(part)] = part
    if (
        dtype.kind == 'U'
        and array.view(np.dtype(np.uint32).newbyteorder(dtype.byteorder)).max(initial=0) > _LAST_LETTER
    ):
        raise ValueError('it has letters that no text has')  # at which numpy fails with a SystemError
    return array.reshape(shape, order=order)


def _reason(error: Exception) -> str:
    return str(error).partition('\n')[0][:200] or type(error).__name__
