"""A grid: which runs are to be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfer.shipped import find_config, require_python
from mmfer.structures.naming import did_you_mean

_KEYS = ('title', 'note', 'seeds', 'train', 'settings', 'rows', 'first', 'reference')
_ROW_KEYS = ('config', 'options', 'against')
_FIRST = re.compile(r'\{(\w+)\}')


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    config: str
    """As it is typed, such as `configs/scn/r18_rafdb.py`."""
    options: Mapping[str, Any]
    """By dotted key; `{name}` in a value is the last checkpoint of what is trained first."""
    against: str | None
    """The row that it is compared with."""

    def needs(self) -> set[str]:
        """What has to be trained first."""
        return {name for value in self.options.values() if isinstance(value, str) for name in _FIRST.findall(value)}


@dataclass(frozen=True)
class Run:
    """One training."""

    setting: str
    row: str
    seed: int

    @property
    def name(self) -> str:
        """What its result and its work folder are called."""
        folder = f'{slug(self.setting)}/' if self.setting else ''
        return f'{folder}{slug(self.row)}_seed{self.seed}'


@dataclass(frozen=True)
class Grid:
    """What a grid's file says. See docs/benchmarks.md."""

    name: str
    title: str
    rows: Mapping[str, Row]
    settings: Mapping[str, Mapping[str, Any]]
    """Options of all rows alike, by the name of the setting."""
    seeds: tuple[int, ...]
    note: str = ''
    train: tuple[str, ...] = ()
    """Arguments of `tools/train.py` for every run, such as `--amp`."""
    first: Mapping[str, str] = field(default_factory=dict)
    """Configs that are trained once, before: of networks that runs start from, or look at faces through."""

    def runs(self) -> list[Run]:
        """All of them: every row once before the second seed, so that a table grows evenly."""
        return [Run(setting, row, seed) for seed in self.seeds for setting in self.settings for row in self.rows]

    def options(self, run: Run, checkpoints: Mapping[str, Path]) -> dict[str, Any]:
        """Of `--cfg-options`, with the checkpoints of what was trained first."""

        def filled(value: Any) -> Any:
            return _FIRST.sub(lambda match: str(checkpoints[match[1]]), value) if isinstance(value, str) else value

        return {**self.settings[run.setting], **{key: filled(v) for key, v in self.rows[run.row].options.items()}}


def slug(name: str) -> str:
    """A name that a file can have."""
    return re.sub(r'[^\w.+-]+', '_', name).strip('_')


def read_grid(path: str | Path) -> Grid:
    """Reads a grid.

    Args:
        path: A Python file with `title`, `rows`, `seeds`, and, where they are needed, `settings`, `train`, `first`,
            `reference` and `note`.

    Raises:
        FileNotFoundError: There is no such file, or a config that it names is not there.
        ValueError: It lacks something, or says what no grid reads.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no grid {path}; those of mmfer are in benchmarks/grids')
    require_python(path)
    said = {key: value for key, value in Config.fromfile(path).to_dict().items() if not key.startswith('_')}
    for key in said:
        if key not in _KEYS:
            raise ValueError(f'{path}: a grid has no {key!r}{did_you_mean(key, _KEYS)}; it has {", ".join(_KEYS)}')
    missing = [key for key in ('title', 'rows', 'seeds') if not said.get(key)]
    if missing:
        raise ValueError(f'{path}: {missing[0]} is missing; examples are in benchmarks/grids')
    first = said.get('first') or {}
    rows = _rows(path, said['rows'], said.get('reference') or next(iter(said['rows'])), first)
    settings = {name: dict(_flat(options)) for name, options in (said.get('settings') or {'': {}}).items()}
    for what, names in (('rows', rows), ('settings', settings)):
        if len({slug(name) for name in names}) < len(names) or (len(names) > 1 and '' in map(slug, names)):
            raise ValueError(
                f'{path}: two of {what} would have the same file name, or one none: {", ".join(names)}; rename one'
            )
    for config in (*first.values(), *(row.config for row in rows.values())):
        if not find_config(config).is_file():
            raise FileNotFoundError(f'{path} names {config}, which is not there')
    return Grid(
        name=path.stem,
        title=said['title'],
        rows=rows,
        settings=settings,
        seeds=tuple(said['seeds']),
        note=said.get('note', ''),
        train=tuple(said.get('train', ())),
        first=first,
    )


def _rows(path: Path, said: Mapping[str, Any], reference: str, first: Mapping[str, str]) -> dict[str, Row]:
    rows = {}
    for name, row in said.items():
        for key in row:
            if key not in _ROW_KEYS:
                raise ValueError(f'{path}: row {name!r} has no {key!r}{did_you_mean(key, _ROW_KEYS)}')
        if 'config' not in row:
            raise ValueError(f'{path}: row {name!r} names no config')
        against = row.get('against', reference)
        if against not in said:
            raise ValueError(
                f'{path}: row {name!r} is compared with {against!r}, which is no row{did_you_mean(against, said)}'
            )
        made = rows[name] = Row(
            row['config'], dict(_flat(row.get('options') or {})), None if against == name else against
        )
        lost = made.needs() - set(first)
        if lost:
            raise ValueError(f'{path}: row {name!r} needs {{{min(lost)}}}, which `first` does not train')
    return rows


def _flat(options: Mapping[str, Any], before: str = '') -> Iterator[tuple[str, Any]]:
    """Options by dotted key, as `--cfg-options` takes them."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{before}{key}.')
        else:
            yield before + key, value
