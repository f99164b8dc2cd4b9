"""Files that are nearly right: pieces of valid ones, cut, doubled, exchanged, with odd values among them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import strategies as st

ODD = [
    *(
        b'',
        b'nan',
        b'-1',
        b'inf',
        b'-inf',
        b'1e400',
        b'1e38',
        b'-3e38',
        b'9' * 20,
        b'9' * 5000,
        b'0' * 5000,
        b'1_0',
        b'0x1',
    ),
    *(b'1.5', b'1,5', b'True', b'None', b'1L', b'0', b'-0', b'.', b'+', b'1e', b'3.0', b'7', b'8', b'255', b'256'),
    *(b'\0', b'\0' * 9, b'"', b'""', b'"""', b"'", b'\xff', b'\xff\xfe', b'\xef\xbb\xbf', b'\xed\xa0\x80', b'\xc3\x28'),
    *(
        '٣'.encode(),
        '\u2028'.encode(),
        '\x85'.encode(),
        '\ufffd'.encode(),
        '😀'.encode(),
        b'\x0b',
        b'\x1c',
        b'\x1b[31m',
    ),
    *(b'\r', b'\n', b'\r\n', b'\n\n', b'\t', b',', b';', b' ', b'    ', b'#', b'{', b'}', b':', b'/', b'\\'),
    *(
        b'a' * 200_000,
        b' ' * 6000,
        b'\t' * 3000,
        b'\n' * 1200,
        b'[' * 3000,
        b'(' * 3000,
        b'{' * 3000,
        b'-' * 3000,
        b'"' * 999,
    ),
    *(
        b'../x.jpg',
        b'/etc/passwd',
        b'C:\\x.jpg',
        b'./a.jpg',
        b'a//b.jpg',
        b'.',
        b'..',
        b'=1+1',
        b'@x',
        b'train_',
        b'test_1',
    ),
    *(
        b"'|O'",
        b"'<U9'",
        b"'<U4294967295'",
        b"'<U0'",
        b"'|S0'",
        b"'<f8'",
        b"'>f2'",
        b"'<c8'",
        b"'<M8[s]'",
        b"'|V8'",
        b"'|b1'",
    ),
    *(
        b"'f8,f8'",
        b"[('a','<f8')]",
        b"('<f4',(2,))",
        b'(99999999999999999999,)',
        b'(12000000000,)',
        b'(-1,)',
        b'(-68,-2)',
    ),
    *(
        b'(0,99999999999)',
        b'()',
        b'(1,)',
        b'(True,)',
        b'(4,)',
        b'(4,68,2)',
        b'[]',
        b'{}',
        b'null',
        b'[[1]]',
        b'{"a":1}',
        b'NaN',
    ),
    *(b'name,label\n', b'name,clean,noisy\n', b'\x93NUMPY', b'PK\x03\x04', b'PK\x05\x06', b'n_points: 9' * 9),
]
"""What stands in files that somebody wrote by hand, or by mistake, or to do harm."""

_CELL = re.compile(rb'[^\s,;:{}()\[\]"]+')


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds after a few changes."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.sampled_from([_flip, _cut, _double, _leave_out, _exchange, _odd_cell, _odd_cell, _insert]))(
            draw, data
        )
    return data


def files(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Random bytes, or odd ones, or mutated seeds."""
    odd = st.lists(st.sampled_from(ODD), max_size=12).map(b''.join)
    return st.one_of(st.binary(max_size=300), odd, mutated(seeds), mutated(seeds), mutated(seeds), mutated(seeds))


def _span(draw: st.DrawFn, data: bytes) -> tuple[int, int]:
    first = draw(st.integers(0, len(data)))
    return first, min(len(data), first + draw(st.sampled_from([1, 2, 4, 8, 16, 64, 256, 1024])))


def _flip(draw: st.DrawFn, data: bytes) -> bytes:
    if not data:
        return data
    bit = draw(st.integers(0, 8 * len(data) - 1))
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _double(draw: st.DrawFn, data: bytes) -> bytes:
    first, last = _span(draw, data)
    at = draw(st.integers(0, len(data)))
    return data[:at] + data[first:last] * draw(st.sampled_from([1, 1, 2, 50])) + data[at:]


def _leave_out(draw: st.DrawFn, data: bytes) -> bytes:
    first, last = _span(draw, data)
    return data[:first] + data[last:]


def _insert(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.sampled_from(ODD)) + data[at:]


def _cells(draw: st.DrawFn, data: bytes, count: int) -> list[re.Match[bytes]]:
    cells = list(_CELL.finditer(data))
    chosen = (
        draw(st.lists(st.integers(0, len(cells) - 1), min_size=count, max_size=count, unique=True))
        if len(cells) >= count
        else []
    )
    return [cells[i] for i in sorted(chosen)]


def _odd_cell(draw: st.DrawFn, data: bytes) -> bytes:
    for cell in _cells(draw, data, 1):
        return data[: cell.start()] + draw(st.sampled_from(ODD)) + data[cell.end() :]
    return data


def _exchange(draw: st.DrawFn, data: bytes) -> bytes:
    cells = _cells(draw, data, 2)
    if not cells:
        return data
    one, other = cells
    return data[: one.start()] + other[0] + data[one.end() : other.start()] + one[0] + data[other.end() :]
