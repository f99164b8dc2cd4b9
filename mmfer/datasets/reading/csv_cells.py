"""Tables that we write as csv: no cell is computed by a spreadsheet, and all come back as they were.

A spreadsheet computes what begins with `=`, `+`, `-` or `@`, though it be a picture's name, `=HYPERLINK(...).jpg`. So
texts that begin with one of :data:`MARKED` get an apostrophe in front, and two texts never become one: what began with
an apostrophe has two. Numbers stay numbers, negative ones too, and texts that are numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Number
from pathlib import Path
from typing import IO, Any

from mmfer.structures.whole_files import written_whole

MARKED = tuple("'=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""How texts begin that get an apostrophe in front. The last four are wide ones, which East Asian spreadsheets take."""
_NUMBER = re.compile(r'[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?')


class CellWriter:
    """`csv.writer` for tables that people open.

    Args:
        stream: Opened with ``newline=''``.
        **options: Of `csv.writer`.
    """

    def __init__(self, stream: IO[str], **options: Any):
        self._writer = csv.writer(stream, **options)

    def writerow(self, cells: Iterable[Any]) -> None:
        """Writes one row."""
        self._writer.writerow(map(defused, cells))

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Writes several."""
        for row in rows:
            self.writerow(row)


@contextmanager
def written_csv(path: str | Path) -> Iterator[CellWriter]:
    """A table that is there when it is complete; its folder is made. Names that are no UTF-8 keep their bytes."""
    with written_whole(path, newline='', encoding='utf-8', errors='surrogateescape') as stream:
        yield CellWriter(stream)


def read_csv_rows(path: str | Path) -> Iterator[list[str]]:
    """The rows of a table that `written_csv` wrote, every cell as it was.

    Raises:
        ValueError: It is no csv any more.
    """
    with open(path, newline='', encoding='utf-8', errors='surrogateescape') as stream:
        try:
            yield from restored_rows(csv.reader(stream))
        except csv.Error as error:
            raise ValueError(f'{path} cannot be read as csv ({error}): delete it, and it is made anew') from None


def restored_rows(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Rows of texts without the apostrophes that `CellWriter` has put before some."""
    for row in rows:
        yield [cell[1:] if cell.startswith("'") else cell for cell in row]


def defused(cell: Any) -> Any:
    """A cell as `CellWriter` writes it."""
    if isinstance(cell, Number) or cell is None:
        return cell
    text = str(cell)
    return f"'{text}" if text.startswith(MARKED) and not _NUMBER.fullmatch(text) else text
