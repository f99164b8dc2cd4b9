"""Landmarks in a csv file, a face a line."""

from __future__ import annotations

import csv
import re

import numpy as np

from mmfer.datasets.landmarks.formats import ORDER, LandmarkFile, checked, coordinates, float32, other_points
from mmfer.datasets.reading.lines import iter_lines, parse_lines
from mmfer.structures.landmark_sets import NUM_POINTS

_FEW = 5
"""Points that the sparsest known schemes have; with fewer it is no file of landmarks."""
_LONGEST_NAME = 1_000
_NAMES = ('name', 'filename', 'file', 'image', 'path')
_SCORES = ('score', 'confidence')
_HEADER = f'name,score,x0,y0,...,x{NUM_POINTS - 1},y{NUM_POINTS - 1} ({ORDER}; score may be left out)'


def read_csv(path: str) -> LandmarkFile:
    """Reads a face a line, columns in any order, parted by commas, semicolons or tabs.

    ``x_0`` is ``x0``, and points may be numbered from 1. Of OpenFace's columns ``x_0`` are pixels and ``X_0``
    millimetres; where its ``success`` is 0 a face has no landmarks.

    Raises:
        ValueError: There are other than 68 points, or none in pixels, or two columns for one thing.
    """
    header = next(iter_lines(path), '')
    delimiter = max(',;\t', key=header.count)
    fields = [field.strip() for field in next(csv.reader([header], delimiter=delimiter), [])]
    columns = _point_columns(path, fields, header)
    place = {key: _place(path, fields, keys) for key, keys in (('name', _NAMES), ('score', _SCORES))}
    success = _place(path, fields, ('success',))
    name, score = place['name'], place['score']
    if name is None:
        raise ValueError(
            f'{path}:1: no column is called name: the header must be {_HEADER}, name being the path of the image below '
            f'its folder, got {header[:80]!r}'
        )

    def number(cell: str) -> float:
        return float(cell.replace(',', '.'))  # in a file of semicolons

    def parse(line: str) -> tuple[str, list[float], float] | None:
        if line == header:
            return None
        cells = next(csv.reader([line], delimiter=delimiter))
        if len(cells) != len(fields):
            raise ValueError(f'{len(cells)} fields')
        found = success is None or number(cells[success]) > 0
        if len(cells[name]) > _LONGEST_NAME:  # an array of names has room for the longest in each row
            raise ValueError(f'the name has more than {_LONGEST_NAME:,} characters')
        points = [number(cells[column]) for column in columns]
        return cells[name].strip(), points, found * (1.0 if score is None else number(cells[score]))

    rows = parse_lines(path, parse, f'{len(fields)} fields as in the header')
    names, given, scores = zip(*rows, strict=True) if rows else ((), (), ())
    points = coordinates(given).reshape(-1, NUM_POINTS, 2)
    return checked(path, np.array(names, dtype=np.str_), points, float32(scores))


def _place(path: str, fields: list[str], keys: tuple[str, ...]) -> int | None:
    """The column that is called by the first of some names that is there."""
    for key in keys:
        found = [column for column, field in enumerate(fields) if field.lower() == key]
        if len(found) > 1:
            raise ValueError(f'{path}:1: {len(found)} columns are called {key}; keep one')
        if found:
            return found[0]
    return None


def _point_columns(path: str, fields: list[str], header: str) -> list[int]:
    """Columns of x and y of each point in turn."""
    found: dict[str, dict[int, list[int]]] = {}
    for column, field in enumerate(fields):
        if match := re.fullmatch(r'([xyzXYZ])_?([0-9]{1,9})', field):
            found.setdefault(match[1], {}).setdefault(int(match[2]), []).append(column)
    small = 'x' in found or 'y' in found
    x, y = (found.get(axis if small else axis.upper(), {}) for axis in 'xy')
    if max(len(x), len(y)) < _FEW:
        raise ValueError(f'{path}:1: the header must be {_HEADER}, got {header[:80]!r}')
    if 'Z' in found and not small:
        raise ValueError(
            f'{path}:1: X, Y and Z are points in space, such as the millimetres of OpenFace, not pixels; let it write '
            'pixels x_0, ..., y_67, too (-2Dfp)'
        )
    for axis, columns in (('x', x), ('y', y)):
        for point, twice in columns.items():
            if len(twice) > 1:
                names = ' and '.join(fields[column] for column in twice)
                raise ValueError(f'{path}:1: {len(twice)} columns are {axis} of point {point}: {names}; keep one')
    if x.keys() != y.keys():
        odd = sorted(x.keys() ^ y.keys())
        raise ValueError(f'{path}:1: point {odd[0]} has {"an x and no y" if odd[0] in x else "a y and no x"}; add it')
    first = min(x)
    if sorted(x) != list(range(first, first + NUM_POINTS)) or first > 1:
        raise ValueError(f'{path}:1: {other_points(len(x))}')
    return [columns[point][0] for point in sorted(x) for columns in (x, y)]
