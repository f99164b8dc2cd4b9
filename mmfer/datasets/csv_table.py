"""Reading csv files with a header, of any length."""
from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

import numpy as np

from .files import BadLines, iter_lines


def read_csv(path: str, columns: Mapping[str, Sequence[str]], bad: BadLines,
             optional: Sequence[str] = (), rows_at_once: int = 100_000,
             header: str = '') -> Iterator[tuple[np.ndarray, dict[str, list[str]]]]:
    """Some columns of a csv file, in pieces, so that ten million rows need little memory.

    Commas, tabs or semicolons part the cells, whichever the header has; blanks around cells and blank lines are left
    out.

    Args:
        path: The file. Its first line that is not blank names the columns; capitals and blanks there do not matter.
        columns: What the header may call each column, ours first: ``dict(name=('name', 'image'))``.
        bad: Gets the lines with another number of cells than the header, or which are not UTF-8.
        optional: Those of ``columns`` that may be missing.
        rows_at_once: Rows in a piece.
        header: What the file is read with if its first line has the name of no column.

    Yields:
        The lines of those rows, int32 [n] counted from 1, and the cells of each column.

    Raises:
        ValueError: The header lacks a column, or a quotation mark is not closed.
    """
    lines = iter_lines(path)
    number, first = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (1, ''))
    delimiter = ',' if header else max(',\t;', key=first.count)
    names = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    if header and not any(word in names for words in columns.values() for word in words):
        names, lines, number = header.lower().split(','), chain([first], lines), number - 1
    reader = csv.reader(lines, delimiter=delimiter)
    place = {key: next((names.index(word) for word in words if word in names), None)
             for key, words in columns.items()}
    missing = [columns[key][0] for key, where in place.items() if where is None and key not in optional]
    if missing:
        raise ValueError(f'{path}:{number}: the header {first[:80]!r} has no column {" and no ".join(missing)}; name '
                         f'it so in the first line')
    wanted = {key: where for key, where in place.items() if where is not None}
    done = 0  # of the reader, which has not seen the header
    while True:
        try:
            rows = list(islice(reader, rows_at_once))
        except csv.Error as error:
            raise ValueError(f'{path}:{number + reader.line_num}: {error}; is a quotation mark missing?') from None
        if not rows:
            return
        if reader.line_num - done != len(rows):
            raise ValueError(f'{path}:{_open_line(path, delimiter)}: a cell runs over the end of its line; is a '
                             'quotation mark missing?')
        where = np.arange(number + done + 1, number + reader.line_num + 1, dtype=np.int32)
        done = reader.line_num
        good = [len(row) == len(names) for row in rows]
        if not all(good):
            for line, row, fits in zip(where.tolist(), rows, good, strict=True):
                if row and not fits:
                    bad.add(line, delimiter.join(row), f'{len(row)} cells instead of {len(names)}')
            where, rows = where[good], [row for row, fits in zip(rows, good, strict=True) if fits]
        cells = {key: [row[column].strip() for row in rows] for key, column in wanted.items()}
        for texts in cells.values():
            if '\ufffd' in '\n'.join(texts):
                for line, text in zip(where.tolist(), texts, strict=True):
                    if '\ufffd' in text:
                        bad.add(line, text)
        yield where, cells


def _open_line(path: str, delimiter: str) -> int:
    reader, ended = csv.reader(iter_lines(path), delimiter=delimiter), 0
    for _ in reader:
        if reader.line_num > ended + 1:
            break
        ended = reader.line_num
    return ended + 1
