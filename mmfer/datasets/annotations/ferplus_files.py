"""The files of FER+: votes in csv files beside the pixels of FER2013, or a label.csv in each split's folder."""

from __future__ import annotations

import os.path as osp

import numpy as np

from mmfer.datasets.annotations.fer_csv import SPLIT_OF_USAGE, read_fer_csv
from mmfer.datasets.annotations.ferplus_votes import VOTES, votes_of
from mmfer.datasets.columns import Columns
from mmfer.datasets.reading.csv_table import csv_rows, read_csv
from mmfer.datasets.reading.files import BadLines, add_repeated, names_array, require_inside
from mmfer.datasets.reading.lines import iter_lines

FOLDER_OF = {'train': 'FER2013Train', 'val': 'FER2013Valid', 'test': 'FER2013Test'}
VOTES_FILE, PIXELS_FILE = 'fer2013new.csv', 'fer2013.csv'
OWN = 'the votes of label.csv with boxes, of each face its own'
_FIRST = 'the votes of fer2013new.csv, of a picture that occurs again those of its first row'
_EXPECTED = f'{len(VOTES)} whole numbers of votes, for {", ".join(VOTES)}'


def read_folder(path: str) -> tuple[Columns, np.ndarray]:
    """``name`` and ``line`` of each face of a label.csv, and its votes int [N, 10].

    Raises:
        ValueError: Lines that have no ten votes, a name twice, or rows of two sets of votes.
    """
    bad = BadLines(path, f"'fer0000000.png,4,0,0,1,3,2,0,0,0,0': an image and {_EXPECTED}")
    names, votes, lines, boxes = [], [], [], None
    for line, cells in enumerate(csv_rows(path, iter_lines(path)), 1):
        if cells:
            bad.looked_at += 1
            boxes = _has_box(cells) if boxes is None else boxes
            try:
                if _has_box(cells) != boxes:
                    odd = 'no box here, one' if boxes else 'a box here, none'
                    raise ValueError(f'{odd} in the first line: rows of two sets of votes')
                votes.append(votes_of(cells[2:] if boxes else cells[1:]))
                names.append(require_inside(cells[0].strip()))
                lines.append(line)
            except ValueError as error:
                bad.add(line, ','.join(cells), str(error))
    columns = dict(name=names_array(names), line=np.array(lines, dtype=np.int32))
    add_repeated(columns['name'], columns['line'], bad)
    bad.raise_if_any()
    return columns, np.array(votes).reshape(-1, len(VOTES))


def read_csv_files(root: str, split: str) -> tuple[Columns, np.ndarray]:
    """``name``, ``line``, ``image`` and ``fer2013`` of each face of a split, and its votes int [N, 10].

    ``fer2013`` is FER2013's own label, in its order. Rows without a name are out: FER+'s authors took them out.

    Raises:
        ValueError: Lines that have no ten votes or no usage, or the two files do not list the same faces.
    """
    path, pixels = osp.join(root, VOTES_FILE), osp.join(root, PIXELS_FILE)
    bad = BadLines(path, f"'Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0': {_EXPECTED}")
    names, votes, usages, lines = [], [], [], []
    keys = {key: (key.lower(),) for key in (*VOTES, 'usage')} | dict(name=('image name',))
    for line, cells in read_csv(path, keys, bad):
        for i, number in enumerate(line.tolist()):
            try:
                if cells['usage'][i] not in SPLIT_OF_USAGE:
                    raise ValueError(f'usage {cells["usage"][i]!r} is unknown')
                name = cells['name'][i] and require_inside(cells['name'][i])
                votes.append(votes_of([cells[key][i] for key in VOTES]))
                names.append(name)
                usages.append(SPLIT_OF_USAGE[cells['usage'][i]])
                lines.append(number)
            except ValueError as error:
                bad.add(number, cells['name'][i], str(error))
    bad.raise_if_any()
    rows = read_fer_csv(pixels, split)
    mine = np.array([usage == split for usage in usages], dtype=bool)
    if rows.rows_in_file != len(votes) or not np.array_equal(np.flatnonzero(mine), rows.row):
        raise ValueError(
            f'{path} has {len(votes):,} rows, {int(mine.sum()):,} of them for '
            f'{split!r}, but {pixels} has {rows.rows_in_file:,} and {len(rows.row):,}; '
            'they must list the same faces in the same order: get both again, unsorted'
        )
    named = np.array([bool(name) for name in names])[mine]
    columns = dict(
        name=names_array(names)[mine],
        line=np.array(lines, dtype=np.int32)[mine],
        image=rows.image,
        fer2013=rows.label,
    )
    return {key: column[named] for key, column in columns.items()}, np.array(votes)[mine][named]


def votes_source(root: str, split: str) -> str:
    """Which of the two published sets of votes these are, for the log; all splits must have the same.

    Raises:
        ValueError: They have not.
    """
    sources = {}
    for other, folder in FOLDER_OF.items():
        path = osp.join(root, folder, 'label.csv')
        if osp.isfile(path):
            sources[other] = OWN if _has_box(next(csv_rows(path, iter_lines(path)), [])) else _FIRST
    mine = sources.get(split, _FIRST)
    odd = next((other for other, source in sources.items() if source != mine), None)
    if odd is not None:
        raise ValueError(
            f'{root} mixes two sets of votes of FER+: {split} has {mine}, {odd} '
            f'{sources[odd]}, and they differ; take all three folders from one place, or fer2013new.csv and '
            'fer2013.csv alone'
        )
    return mine


def _has_box(cells: list[str]) -> bool:
    """In the authors' own files a box, '(0, 0, 48, 48)', stands between name and votes."""
    return ''.join(cells[1:2]).startswith('(')
