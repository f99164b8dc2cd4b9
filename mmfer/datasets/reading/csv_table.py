"""Reading csv files with a header, of any length."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress, islice

import numpy as np

from mmfer.datasets.reading.files import BadLines
from mmfer.datasets.reading.lines import iter_lines

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
        bad: Gets the lines with another number of cells than the header, or which are not UTF-8, how many there are,
            and which columns were taken.
        optional: Those of ``columns`` that may be missing.
        header: What the file is read with if its first line has the name of no column.

    Yields:
        The lines of a few hundred rows, int32 [n] counted from 1, and the cells of each column.

    Raises:
        ValueError: The header lacks a column, or has two that may be it, or a quotation mark is not closed; or it is no
            text.
    """
    lines: Iterator[str] = iter_lines(path)
    number, first = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (1, ''))
    delimiter = ',' if header else max(',\t;', key=first.count)
    names = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    if header and not any(word in names for words in columns.values() for word in words):
        names, lines, number = header.lower().split(','), chain([first], lines), number - 1
    place = {key: _column(key, words, names, f'{path}:{number}') for key, words in columns.items()}
    missing = [columns[key][0] for key, where in place.items() if where is None and key not in optional]
    if missing:
        raise ValueError(
            f'{path}:{number}: the header {first[:80]!r} has no column {" and no ".join(missing)}; '
            'name it so in the first line'
        )
    found = {key: at for key, at in place.items() if at is not None}
    bad.read_as = ', '.join(f'{key} = {names[at]!r}' for key, at in found.items())
    rows = csv_rows(path, lines, number + 1, delimiter)
    while piece := list(islice(rows, _ROWS_AT_ONCE)):
        where = np.arange(number + 1, number + len(piece) + 1, dtype=np.int32)
        number += len(piece)
        bad.looked_at += sum(map(bool, piece))  # a blank line is no row
        yield _cells(where, piece, len(names), found, bad)


def csv_rows(path: str, lines: Iterable[str], first: int = 1, delimiter: str = ',') -> Iterator[list[str]]:
    """The cells of each line; of one that is blank, none.

    Args:
        path: The file, for the messages.
        lines: Its lines, from
        first: which, counted from 1.
        delimiter: What parts the cells.

    Raises:
        ValueError: A quotation mark is not closed.
    """
    reader, line = csv.reader(lines, delimiter=delimiter), 0
    try:
        for cells in reader:
            if reader.line_num > line + 1:
                raise csv.Error
            line += 1
            yield cells
    except csv.Error:  # also of itself, where a cell has more letters than a line may have
        raise ValueError(
            f'{path}:{first + line}: a cell runs over the end of its line; is a quotation mark missing?'
        ) from None


def _column(key: str, words: Sequence[str], names: Sequence[str], where: str) -> int | None:
    """Where a column is: under our own name for it, or else under the one other that the header has."""
    found = [at for at, name in enumerate(names) if name == words[0]] or [
        at for at, name in enumerate(names) if name in words
    ]
    if len(found) > 1:
        some = ' and '.join(repr(names[at]) for at in found[:3])
        raise ValueError(
            f'{where}: the header has {some}, and either may be the column {key}; call the one that is meant '
            f'{words[0]!r}, and no other'
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
