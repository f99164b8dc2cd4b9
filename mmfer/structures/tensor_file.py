"""Files of tensors, as torch writes them: sealed, so that any damage shows, and read without running code from them.

torch's files are zip archives, and torch does not compare their checksums when it reads. The seal is the comment that
a zip archive may have at its end: the sha256 of all that is in front of it. So it goes where the file goes, other
programs read the file as ever, and a flipped bit or a cut is noticed before anything is taken from the file.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import torch

_ZIP, _END = b'PK\x03\x04', b'PK\x05\x06'
_END_SIZE = 22  # of zip's last record, the length of the comment in its last two bytes
_MARK = b'mmfer sha256 '
_SEAL_SIZE = 2 + len(_MARK) + 64
_CHUNK = 1 << 22


class UnreadableError(ValueError):
    """A file that is not as it was written, or never was a file of tensors."""


class SealedStream:
    """What torch.save writes to: passes everything on as it comes, and ends with the seal, so that no copy is needed.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: IO[bytes]):
        self._stream, self._digest, self._held = stream, hashlib.sha256(), b''
        self._fault: OSError | None = None

    def write(self, content: bytes | memoryview) -> int:
        """Writes what comes next, but for the last two bytes: those of the whole are the length of zip's comment."""
        view = memoryview(content)
        try:
            if self._fault is None and len(view) >= 2:
                self._pass_on(self._held)
                self._pass_on(view[:-2])
                self._held = bytes(view[-2:])
            elif self._fault is None:
                last = self._held + bytes(view)
                self._pass_on(last[:-2])
                self._held = last[-2:]
        except OSError as error:  # torch's C++ has no way for it: end() raises it
            self._fault = error
        return len(view)

    def flush(self) -> None:
        """What torch.save asks for at its end; the file itself is flushed by whoever opened it."""

    def end(self) -> None:
        """Writes the seal.

        Raises:
            OSError: What could not be written.
        """
        if self._fault is not None:
            raise self._fault
        self._stream.write(_seal(self._digest.hexdigest()))

    def _pass_on(self, content: bytes | memoryview) -> None:
        self._digest.update(content)
        self._stream.write(content)


def save_sealed(stream: IO[bytes], content: Any) -> None:
    """Writes as torch.save does, and the seal; large tensors go from where they are, memory or disk, to the file."""
    sealed = SealedStream(stream)
    torch.save(content, cast('IO[bytes]', sealed))  # it asks for no more than write and flush
    sealed.end()


def write_sealed(stream: IO[bytes], content: bytes | memoryview) -> None:
    """Writes what torch.save made, and its seal; other content is written as it is."""
    view = memoryview(content)
    if bytes(view[:4]) != _ZIP or bytes(view[-_END_SIZE:-18]) != _END or bytes(view[-2:]) != b'\0\0':
        stream.write(view)
        return
    sealed = SealedStream(stream)
    sealed.write(view)
    sealed.end()


def check_whole(path: str | Path) -> None:
    """Compares a file with its seal; one without is compared with the checksums that zip archives have.

    Raises:
        UnreadableError: It is not as it was written.
        OSError: It cannot be read.
    """
    path = Path(path)
    with path.open('rb') as stream:
        if stream.read(4) != _ZIP:
            return  # of an old torch, or none of its files: nothing to compare
        size = stream.seek(0, 2)
        stream.seek(max(size - _SEAL_SIZE, 0))
        end = stream.read()
        sealed = len(end) == _SEAL_SIZE and end[: 2 + len(_MARK)] == _seal('')[:2] + _MARK
        if sealed:
            stream.seek(0)
            if end == _seal(_digest(stream, size - _SEAL_SIZE)):
                return
            raise UnreadableError('its contents are not those that its seal is of')
        if end[-_END_SIZE:-18] != _END or end[-2:] != b'\0\0':
            raise UnreadableError('its end is missing or damaged')
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except Exception as error:  # whatever zip says of a damaged archive
        raise UnreadableError(str(error)) from None
    if bad is not None:
        raise UnreadableError(f'its part {bad} is damaged')


def read_tensor_file(path: str | Path, map_location: Any = 'cpu') -> Any:
    """What torch.save wrote, once it is known to be whole; no code of the file is run.

    Raises:
        UnreadableError: It is damaged, no file of tensors, or holds more than tensors and plain values.
        OSError: It cannot be read.
    """
    check_whole(path)
    return _load(path, map_location=map_location)


def peek(path: str | Path) -> Any:
    """The same in milliseconds, for its plain values: it is not compared, and its tensors stay on the disk until used.

    Raises:
        UnreadableError: As of `read_tensor_file`, as far as that can be seen.
        OSError: It cannot be read.
    """
    return _load(path, map_location='cpu', mmap=True)


def _load(path: str | Path, **how: Any) -> Any:
    try:
        return torch.load(path, weights_only=True, **how)
    except OSError:
        raise
    except Exception as error:  # of a file from others: torch, pickle and zip raise what they like
        raise UnreadableError(str(error).partition('\n')[0]) from None


def _seal(digest: str) -> bytes:
    comment = _MARK + digest.encode().ljust(64)
    return len(comment).to_bytes(2, 'little') + comment


def _digest(stream: IO[bytes], size: int) -> str:
    digest = hashlib.sha256()
    while size > 0 and (chunk := stream.read(min(_CHUNK, size))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest()
