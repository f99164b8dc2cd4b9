"""What is missing inside a JPEG, which decoders fill with grey and say nothing about."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mmfer.machine import usable_cores
from mmfer.progress import ProgressBar

_MARKER = re.compile(rb'\xff[^\x00\xff\xd0-\xd7]')
"""What ends a scan's data: in them FF is followed by 00, or by the number of a restart interval."""
_RESTART = re.compile(rb'\xff[\xd0-\xd7]')
_BASELINE, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_PADDING = b'\xff\x00' * 8
"""64 bits of 1, which are no code: what libjpeg wants to see behind the last bits, and enough for hardly a block."""
_SAYS = 'Corrupt JPEG data: '
_CHUNK = 2000


class _Scan(NamedTuple):
    components: bytes
    first: int
    last: int
    bit: int
    start: int
    end: int


def open_ended(data: bytes) -> tuple[bytes, str]:
    """A JPEG such that a decoder which lacks data gives up, and what its marks say is missing, '' where nothing.

    At the end mark libjpeg makes up what is missing; at the end of the data it gives up. So the end mark is taken off,
    where there is one scan: a progressive JPEG is decoded only once the mark is read. Of an undamaged file the pixels
    are the same. What is no JPEG comes back as it is.

    The marks say that something is missing where a progressive JPEG does not come to the last bit of all coefficients,
    another one not to all channels, or where restart intervals do not count on.
    """
    kind, components, restart, scans = _parts(data)
    if not components or (kind not in _BASELINE and kind != _PROGRESSIVE):
        return data, ''
    to_come = {component: [1] * 64 for component in components}
    for scan in scans:
        for component in scan.components:
            if component in to_come:
                to_come[component][scan.first : scan.last + 1] = [scan.bit] * (scan.last + 1 - scan.first)
    if any(any(bits) for bits in to_come.values()):
        return data, 'its last scans are missing' if kind == _PROGRESSIVE else 'some of its channels are missing'
    for scan in scans if restart else ():
        numbers = [match[0][1] & 7 for match in _RESTART.finditer(data, scan.start, scan.end)]
        if numbers != [i % 8 for i in range(len(numbers))]:
            return data, 'a piece in the middle is missing'
    if kind in _BASELINE and len(scans) == 1 and data[scans[0].end : scans[0].end + 2] == b'\xff\xd9':
        data = data[: scans[0].end] + _PADDING
    return data, ''


def _parts(data: bytes) -> tuple[int, bytes, int, list[_Scan]]:
    """Kind of the frame, its components' ids, length of a restart interval, and the scans."""
    kind, components, restart, scans = 0, b'', 0, []
    at = 2 if data[:2] == b'\xff\xd8' else len(data)
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break  # no marker where one must be: a decoder will say so
        code = data[at + 1]
        if code == 0xFF:
            at += 1
            continue
        if code == 0xD9:
            break
        if code in _WITHOUT_LENGTH:
            at += 2
            continue
        body = data[at + 4 : at + 2 + int.from_bytes(data[at + 2 : at + 4], 'big')]
        at += 4 + len(body)
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            kind, components = code, body[6::3][: body[5] if len(body) > 5 else 0]
        elif code == 0xDD:
            restart = int.from_bytes(body[:2], 'big')
        elif code == 0xDA and body:
            count = body[0]
            first, last, bits = (*body[1 + 2 * count : 4 + 2 * count], 0, 63, 0)[:3]
            found = _MARKER.search(data, at)
            end = found.start() if found else len(data)
            scans.append(_Scan(body[1 : 1 + 2 * count : 2], first, min(last, 63), bits & 15, at, end))
            at = end
    return kind, components, restart, scans


# In a process of its own, whose error output is nobody else's: libjpeg says what it made up there and nowhere else.
_DECODE_ALL = """
import os, sys
sys.path = [place for place in sys.path if place]  # -c puts the current folder there, which may be one of data
import cv2, numpy
for number, path in enumerate(sys.stdin.buffer.read().decode('utf-8', 'surrogateescape').split('\\0')):
    with open(path, 'rb') as stream:
        data = stream.read()
    if data[:2] == b'\\xff\\xd8':
        cv2.imdecode(numpy.frombuffer(data, dtype=numpy.uint8), cv2.IMREAD_COLOR)
    os.write(2, b'\\n\\0%d\\n' % number)
"""


def decoder_warnings(paths: Sequence[str], title: str = 'images') -> dict[int, str]:
    """What libjpeg says of damaged data when it decodes these files, by their positions; of other formats nothing.

    That takes as long as decoding, in processes of their own, one a processor.

    Args:
        paths: The files, which must be there.
        title: What the progress bar says.
    """
    chunks = range(0, len(paths), _CHUNK)
    found: dict[int, str] = {}
    with (
        ThreadPoolExecutor(usable_cores()) as pool,
        ProgressBar(total=len(paths), desc=title, unit='image') as bar,
    ):
        for start, told in zip(chunks, pool.map(lambda i: _warnings(paths[i : i + _CHUNK]), chunks), strict=True):
            found |= {start + place: text for place, text in told.items()}
            bar.update(min(_CHUNK, len(paths) - start))
    return found


def _warnings(paths: Sequence[str]) -> dict[int, str]:
    told = subprocess.run(
        [sys.executable, '-c', _DECODE_ALL],
        input='\0'.join(paths).encode('utf-8', 'surrogateescape'),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        check=True,
    ).stderr.decode(errors='replace')
    found = {}
    for place, text in enumerate(re.split(r'\n\0\d+\n', told)[: len(paths)]):
        lines = [line for line in text.splitlines() if line.startswith(_SAYS)]
        if lines:
            found[place] = lines[0].removeprefix(_SAYS)
    return found
