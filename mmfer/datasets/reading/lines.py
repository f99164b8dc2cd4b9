"""Text files line by line, whatever they hold."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import TextIO, TypeVar

from mmfer.datasets.reading.files import BadLines, require_regular_file

Row = TypeVar('Row')
_LONGEST_LINE = 100_000
"""Characters of a line: ten times what a face of FER2013 takes, and less than csv's own limit of a cell."""
_AT_ONCE = 1 << 16


def iter_lines(path: str) -> Iterator[str]:
    """The lines of a text file of whatever editor, without line ends: byte-order marks, UTF-16, CRLF.

    What is not UTF-8 becomes U+FFFD, by which :class:`BadLines` knows it.

    Raises:
        OSError: There is no such file, or the disk does not give it.
        ValueError: It is no file, or no text: it has a zero byte, or a line without an end.
    """
    with _open_text(path) as stream:
        number, rest = 0, ''
        while block := stream.read(_AT_ONCE):
            *lines, rest = (rest + block).split('\n')
            if '\0' in block or len(rest) > _LONGEST_LINE or (lines and len(lines[0]) > _LONGEST_LINE):
                raise ValueError(_no_text(path, number, [*lines, rest]))
            number += len(lines)
            yield from lines
        if rest:
            yield rest


def read_lines(path: str) -> list[str]:
    """All of :func:`iter_lines`."""
    return list(iter_lines(path))


def _open_text(path: str) -> TextIO:
    require_regular_file(path)
    with open(path, 'rb') as stream:
        wide = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return open(path, encoding='utf-16' if wide else 'utf-8-sig', errors='replace')


def _no_text(path: str, before: int, lines: list[str]) -> str:
    for number, line in enumerate(lines, before + 1):
        if '\0' in line:
            return f'{path}:{number}: there is a zero byte, which no text has; give a text file, saved as UTF-8'
        if len(line) > _LONGEST_LINE:
            break
    return f'{path}:{number}: the line has more than {_LONGEST_LINE:,} characters; give a text file, an entry a line'


def lines_of(path: str, bad: BadLines) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank; counts them, and adds those that are not UTF-8."""
    for number, line in enumerate(iter_lines(path), 1):
        if line.strip():
            bad.looked_at += 1
            if '\ufffd' in line:
                bad.add(number, line)
            else:
                yield number, line


def parse_lines(path: str, parse: Callable[[str], Row | None], expected: str) -> list[Row]:
    """Parses every line that is not blank, and names all that cannot be parsed at once.

    Args:
        path: The text file.
        parse: Makes a row of a line, or None where it is no entry, as a header; raises ValueError where it cannot.
        expected: What a line should look like, for the message.

    Raises:
        ValueError: Some line cannot be parsed. The message has file, number and text of the first ten.
    """
    rows, bad = [], BadLines(path, expected)
    for number, line in lines_of(path, bad):
        try:
            row = parse(line)
        except ValueError as error:
            bad.add(number, line, str(error))
            continue
        if row is None:
            bad.looked_at -= 1
        else:
            rows.append(row)
    bad.raise_if_any()
    return rows
