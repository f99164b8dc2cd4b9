"""Pictures on disk: reading one, and telling what is wrong with one without decoding it."""

from __future__ import annotations

import io
import os
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mmfer.datasets.images.jpeg_scans import open_ended
from mmfer.datasets.reading.files import irregular_kind

_CV2_GIVES_UP = int(cv2.__version__.split('.')[0]) >= 5
"""Whether cv2 returns nothing where data end too early; before version 5 it makes them grey."""
_TAIL = 64
"""Cameras and editors leave a few bytes behind the end of a picture."""
Image.init()
KINDS = tuple(
    kind
    for kind in ('JPEG', 'PNG', 'BMP', 'DIB', 'GIF', 'TIFF', 'WEBP', 'PPM', 'JPEG2000', 'AVIF', 'SUN')
    if kind in Image.OPEN
)
"""Those that cv2 reads, too. Of others that Pillow knows, some run a program: EPS, whatever its file is called, is code
for Ghostscript."""
LARGEST_FILE = 2**30
"""In bytes: nearly twice what the largest picture that Pillow reads takes where 16 bits a channel lie uncompressed."""


class Look(NamedTuple):
    """What a look at a picture tells: its ``size`` (width, height) as stored, and its ``fault``, '' where none.

    ``progressive``: a JPEG of several scans, of which only the decoder's warnings tell that data are missing inside.
    """

    size: tuple[int, int] = (0, 0)
    fault: str = ''
    progressive: bool = False


def read_picture(path: str) -> np.ndarray:
    """Reads a picture, upright where it says how the camera was held, as BGR uint8 [H, W, 3].

    Grey becomes three equal channels, of 16 bits the upper 8 stay, CMYK is converted, transparency is dropped.

    Raises:
        FileNotFoundError: It is missing.
        ValueError: It is empty, no picture, cut off, without a part of its data, animated, larger than Pillow's
            ``MAX_IMAGE_PIXELS`` or :data:`LARGEST_FILE`, or no file but a folder, pipe or device.
    """
    # Bytes first: cv2.imread takes no non-ASCII paths on Windows and cannot tell a missing file from a broken one.
    try:
        fault, data = _unopened_fault(path), b''
        if not fault:
            with open(path, 'rb') as stream:
                data = stream.read()
    except FileNotFoundError:
        raise FileNotFoundError(f'image {path} is missing; restore it or take its row out of the label file') from None
    # cv2 alone would decode a bomb, and take the first frame of an animation. Pillow's reading of the header takes a
    # fifth of the time.
    fault = fault or look_into(io.BytesIO(data)).fault
    image = None
    if not fault:
        data, missing = open_ended(data)
        fault = f'damaged ({missing})' if missing else ''
        image = None if missing else _decode(data)
    if image is None:
        raise ValueError(
            f'{path} is {fault or "cut off or damaged"}; restore it from its source, or take its row out '
            'of the label file'
        )
    return image


def _decode(data: bytes) -> np.ndarray | None:
    if not _CV2_GIVES_UP:
        try:
            with Image.open(io.BytesIO(data), formats=KINDS) as image:
                image.load()
        except Exception:  # whatever Pillow's readers stumble over is the picture's fault
            return None
    return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)


def look_at(path: str) -> Look:
    """What is wrong with a picture as far as its header and its end tell; hardly more of it is read."""
    try:
        if fault := _unopened_fault(path):
            return Look(fault=fault)
        with open(path, 'rb', buffering=4096) as stream:
            return look_into(stream)
    except FileNotFoundError:
        return Look(fault='missing')
    except OSError as error:
        return Look(fault=f'unreadable ({error.strerror})')


def _unopened_fault(path: str) -> str:
    """Why a file is not even opened: opening a pipe waits for ever, and reading a device may never end."""
    state = os.stat(path)
    if kind := irregular_kind(path, state):
        return kind
    return _too_large(state.st_size, LARGEST_FILE, 'bytes') if state.st_size > LARGEST_FILE else ''


def look_into(stream: BinaryIO) -> Look:
    """As :func:`look_at`, of an open file or bytes."""
    try:
        with Image.open(stream, formats=KINDS) as image:
            width, height = image.size
            if width * height > (Image.MAX_IMAGE_PIXELS or np.inf):
                return Look(fault=_too_large(width * height, Image.MAX_IMAGE_PIXELS, 'pixels'))
            # An MPO is a photo with a second view or a depth map behind it.
            if getattr(image, 'is_animated', False) and image.format != 'MPO':
                return Look(fault=f'animated (several frames of {image.format}; keep one)')
            if image.format == 'TIFF' and image.mode in ('I', 'F'):
                return Look(fault='of 32 bits a channel (save it with 8 or 16)')
            if not _has_its_end(stream, image.format or ''):
                image.load()  # formats without a mark at the end, and files that go on behind it, are decoded instead
            return Look((width, height), progressive='progressive' in image.info)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = int(str(error).partition('(')[2].partition(' ')[0])
        return Look(fault=_too_large(pixels, Image.MAX_IMAGE_PIXELS, 'pixels'))
    except UnidentifiedImageError:
        stream.seek(0)
        start = stream.read(20)
        return Look(fault=f'no picture (it begins with {start!r})' if start else 'empty (0 bytes)')
    except Exception:  # whatever Pillow's readers stumble over is the picture's fault
        return Look(fault='cut off or damaged')


def _too_large(count: int, most: int | None, unit: str) -> str:
    return f'too large ({count:,} {unit}, more than {most:,}; shrink it)'


def _has_its_end(stream: BinaryIO, kind: str) -> bool:
    """Whether a file ends as its format says; False for formats that say nothing. The position stays."""
    position = stream.tell()
    try:
        length = stream.seek(0, os.SEEK_END)
        if kind == 'WEBP':
            stream.seek(4)
            return length >= 8 + int.from_bytes(stream.read(4), 'little')
        stream.seek(max(0, length - _TAIL))
        tail = stream.read()
        if kind in ('JPEG', 'MPO'):
            return b'\xff\xd9' in tail
        return b'IEND' in tail if kind == 'PNG' else kind == 'GIF' and tail.rstrip(b'\0').endswith(b';')
    finally:
        stream.seek(position)
