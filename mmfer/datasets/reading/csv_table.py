"""Reading csv files with a header, of any length."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress, islice

import numpy as np

from mmfer.datasets.reading.files import BadLines, iter_lines, open_text

# Fewer lists than wake Python's garbage collector, which would look through all of torch: that is eight times as fast.
_ROWS_AT_ONCE = 500


def read_csv(
    path: str, columns: Mapping[str, Sequence[str]], bad: BadLines, optional: Sequence[str] = (), header: str = ''
) -> Iterator[tuple[np.ndarray, dict[str, list[str]]]]:
    """Some columns of a csv file, in pieces, so that ten million rows need little memory.

    Commas, tabs or semicolons part the cells, whichever the header has; blanks around cells and blank lines are left
    out.

    Args:
        path: The file. Its first line that is not blank names the columns; capitals and blanks there do not matter.
        columns: What the header may call each column: ``dict(name=('name', 'image'))``. The first is taken before the
            others, of which there may be one.
        bad: Gets the lines with another number of cells than the header, or which are not UTF-8.
        optional: Those of ``columns`` that may be missing.
        header: What the file is read with if its first line has the name of no column.

    Yields:
        The lines of a few hundred rows, int32 [n] counted from 1, and the cells of each column.

    Raises:
        ValueError: The header lacks a column, or has two that may be it, or a quotation mark is not closed.
    """
    with open_text(path) as stream:
        number, first = next(((n, line.rstrip('\n')) for n, line in enumerate(stream, 1) if line.strip()), (1, ''))
        lines: Iterable[str] = stream
        delimiter = ',' if header else max(',\t;', key=first.count)
        names = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        if header and not any(word in names for words in columns.values() for word in words):
            names, lines, number = header.lower().split(','), chain([first], stream), number - 1
        place = {key: _column(key, words, names, f'{path}:{number}') for key, words in columns.items()}
        missing = [columns[key][0] for key, where in place.items() if where is None and key not in optional]
        if missing:
            raise ValueError(
                f'{path}:{number}: the header {first[:80]!r} has no column {" and no ".join(missing)}; '
                'name it so in the first line'
            )
        reader, done = csv.reader(lines, delimiter=delimiter), 0  # lines of the reader, which has not seen the header
        while True:
            try:
                rows = list(islice(reader, _ROWS_AT_ONCE))
            except csv.Error as error:
                raise ValueError(f'{path}:{number + reader.line_num}: {error}; is a quotation mark missing?') from None
            if not rows:
                return
            if reader.line_num - done != len(rows):
                raise ValueError(
                    f'{path}:{_open_line(path, delimiter)}: a cell runs over the end of its line; is a '
                    'quotation mark missing?'
                )
            where = np.arange(number + done + 1, number + reader.line_num + 1, dtype=np.int32)
            done = reader.line_num
            yield _cells(where, rows, len(names), {key: at for key, at in place.items() if at is not None}, bad)


def _column(key: str, words: Sequence[str], names: Sequence[str], where: str) -> int | None:
    """Where a column is: under our own name for it, or else under the one other that the header has."""
    found = [at for at, name in enumerate(names) if name == words[0]] or [
        at for at, name in enumerate(names) if name in words
    ]
    if len(found) > 1:
        raise ValueError(
            f'{where}: the header has {" and ".join(repr(names[at]) for at in found)}, and either may be the column '
            f'{key}; call the one that is meant {words[0]!r}, and no other'
        )
    return found[0] if found else None


def _cells(
    lines: np.ndarray, rows: list[list[str]], width: int, place: Mapping[str, int], bad: BadLines
) -> tuple[np.ndarray, dict[str, list[str]]]:
    good = [len(row) == width for row in rows]
    if not all(good):
        for line, row, fits in zip(lines.tolist(), rows, good, strict=True):
            if row and not fits:  # a blank line is no row
                bad.add(line, ','.join(row), f'{len(row)} cells instead of {width}')
        lines, rows = lines[good], list(compress(rows, good))
    cells = {key: [row[at].strip() for row in rows] for key, at in place.items()}
    for texts in cells.values():
        if '\ufffd' in '\n'.join(texts):
            for line, text in zip(lines.tolist(), texts, strict=True):
                if '\ufffd' in text:
                    bad.add(line, text)
    return lines, cells


def _open_line(path: str, delimiter: str) -> int:
    reader, ended = csv.reader(iter_lines(path), delimiter=delimiter), 0
    for _ in reader:
        if reader.line_num > ended + 1:
            break
        ended = reader.line_num
    return ended + 1
