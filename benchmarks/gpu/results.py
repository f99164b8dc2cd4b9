"""What was measured, in files that are written anew after every row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmfer.structures.whole_files import written_whole

Row = dict[str, Any]
ERROR, REFUSED = 'error', 'refused'


def failed(error: BaseException) -> Row:
    """The row of what could not be measured: the next call tries it again."""
    text = str(error).strip() or 'no message'
    return {ERROR: f'{type(error).__name__}: {text.splitlines()[0][:300]}'}


def rounded(value: Any) -> Any:
    """A measured number with as many digits as it deserves."""
    return float(f'{value:.4g}') if isinstance(value, float) else value


class Results:
    """A folder with `SECTION.json`, row by key, and all of them as `table.md`.

    Args:
        folder: Where they are; rows that it has already count as measured.
        sections: In the order of the table, with their titles.
        about: Device and software, named above the table.
    """

    def __init__(self, folder: Path, sections: dict[str, str], about: Row):
        self.folder, self.sections, self.about = folder, sections, about
        self._rows = {section: self._read(section) for section in sections}

    def _read(self, section: str) -> dict[str, Row]:
        path = self.folder / f'{section}.json'
        return json.loads(path.read_text()) if path.is_file() else {}

    def rows(self, section: str) -> dict[str, Row]:
        """What a section has by now."""
        return self._rows[section]

    def missing(self, section: str, keys: Iterable[str]) -> list[str]:
        """Those that are not there, or failed; a row that says why something is refused is there."""
        return [key for key in keys if ERROR in self._rows[section].get(key, {ERROR: ''})]

    def forget(self, section: str) -> None:
        """So that it is measured anew; its file stays until its first new row is there."""
        self._rows[section] = {}

    def add(self, section: str, key: str, row: Row) -> None:
        """Keeps a row, and writes it. It has the software that it was measured with."""
        row = {name: rounded(value) for name, value in row.items()}
        self._rows[section][key] = {**row, 'software': self.about['software']}
        with written_whole(self.folder / f'{section}.json') as stream:
            stream.write(json.dumps(self._rows[section], indent=1) + '\n')
        with written_whole(self.folder / 'table.md') as stream:
            stream.write(self.table())

    def failures(self) -> list[str]:
        """What could not be measured, and tests that failed."""
        return [
            f'{section}: {key}: {text}'
            for section, rows in self._rows.items()
            for key, row in rows.items()
            for text in [*([row[ERROR]] if ERROR in row else []), *row.get('failures', [])]
        ]

    def table(self) -> str:
        """All sections in Markdown."""
        parts = [f'# {self.about["device"]}\n']
        for section, title in self.sections.items():
            if rows := self._rows[section]:
                software = ' and '.join(dict.fromkeys(row['software'] for row in rows.values()))
                parts += [f'## {title}\n', f'{software}.\n', table_of(rows)]
        return '\n'.join(parts)


def table_of(rows: dict[str, Row]) -> str:
    """Rows in Markdown; a column for every name that any of them has, those of what was not measured last."""
    names = dict.fromkeys(name for row in rows.values() for name in row if name != 'software')
    columns = sorted(names, key=lambda name: name in (ERROR, REFUSED))
    lines = [['', *columns], ['---'] * (len(columns) + 1)]
    lines += [[key, *(cell(row.get(name)) for name in columns)] for key, row in rows.items()]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def cell(value: Any) -> str:
    """A value as text; what was not measured is blank."""
    if isinstance(value, list):
        value = '; '.join(map(str, value))
    text = f'{value:,.0f}' if isinstance(value, float) and abs(value) >= 1000 else str('' if value is None else value)
    return text.replace('|', '\\|').replace('\n', ' ')
