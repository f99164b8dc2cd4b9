"""FERPlus (FER+)."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.annotations.fer_csv import SPLIT_OF_USAGE, read_fer_csv
from mmfer.datasets.annotations.ferplus_votes import READINGS, VOTES, votes_of
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.images.image_files import log_unlisted
from mmfer.datasets.labels.schema import ORDERS
from mmfer.datasets.reading.csv_table import csv_rows, read_csv
from mmfer.datasets.reading.files import BadLines, add_repeated, names_array, require_inside, require_paths
from mmfer.datasets.reading.lines import iter_lines
from mmfer.registry import DATASETS

_FOLDER_OF = {'train': 'FER2013Train', 'val': 'FER2013Valid', 'test': 'FER2013Test'}
_OWN = 'the votes of label.csv with boxes, of each face its own'
_FIRST = 'the votes of fer2013new.csv, of a picture that occurs again those of its first row'
_EXPECTED = f'{len(VOTES)} whole numbers of votes, for {", ".join(VOTES)}'


@DATASETS.register_module()
class FERPlus(FaceDataset):
    """FER+ (`Barsoum et al. 2016 <https://arxiv.org/abs/1608.01041>`_): FER2013 labelled anew by ten people a face.

    The two files as they are distributed::

        data_root
        ├── fer2013new.csv           Usage,Image name,neutral,happiness,...,unknown,NF
        │                            Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0
        └── fer2013.csv              the pixels, in the same order of rows

    or, where a folder of this split is there, as the authors' ``generate_training_data.py`` writes them::

        data_root
        ├── FER2013Train
        │   ├── label.csv            no header: fer0000000.png,4,0,0,1,3,2,0,0,0,0
        │   ├── fer0000000.png       48 x 48 grey pixels
        │   └── ...
        ├── FER2013Valid             'val'
        └── FER2013Test

    Two sets of votes are published. In the authors' own ``label.csv``, where a box stands behind the name, every face
    has its own; in ``fer2013new.csv``, and in what their script writes from it, a picture that occurs again has those
    of its first row. The log says which are read; splits with different ones are refused. See docs/datasets.md.

    Of 28,709 / 3,589 / 3,589 rows a reading keeps those it can give a label to
    (:mod:`mmfer.datasets.annotations.ferplus_votes`), always without the votes that only one
    person gave, and logs how many it left out:

    =============== ====================================================================================================
    'majority'      the label with more than half of the votes; no votes travel along. Papers count 25,045 / 3,191 /
                    3,137 faces, which are those of the label.csv with boxes. The published code measures every model on
                    this reading of 'val' and 'test', whatever it was trained on
    'distribution'  the label with most votes, the first of equals; the shares of all emotions travel along as
                    ``gt_score``. Out are faces that more people call unknown or no face than any one emotion. This is
                    none of the paper's schemes, and keeps most faces
    'cross_entropy' the paper's: the shares of the emotions with most votes until three quarters of the votes or three
                    emotions are reached, as ``gt_score``. Out are faces where that is not more than half of the votes.
                    The paper's 'probability' scheme draws labels from the same shares, which mmfer does not do
    =============== ====================================================================================================

    Args:
        reading: 'majority', 'distribution' or 'cross_entropy'. Defaults to 'majority'.
        **kwargs: See :class:`FaceDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['ferplus'])
    SPLITS = ('train', 'val', 'test')
    # Of the majority, with boxes.
    COUNTS: ClassVar[dict[str, tuple[int, ...]]] = dict(train=(25045,), val=(3191,), test=(3137,))
    HOW_TO_GET = (
        'the votes are public: put fer2013new.csv of https://github.com/microsoft/FERPlus there; the pixels '
        'are those of FER2013, of a Kaggle challenge: accept its rules at https://www.kaggle.com/c/challenges'
        '-in-representation-learning-facial-expression-recognition-challenge/data, and put fer2013.csv there'
    )

    def __init__(self, *args: Any, reading: str = 'majority', **kwargs: Any):
        if reading not in READINGS:
            raise ValueError(f'reading must be one of {", ".join(map(repr, READINGS))}, got {reading!r}')
        self.reading = reading
        if reading != 'majority':
            self.COUNTS = {}
        super().__init__(*args, **kwargs)

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads votes, and pixels where they are not in files; keeps the faces of this split that have a label."""
        folder = osp.join(self.data_root, _FOLDER_OF[self.source_split])
        columns, votes = self._of_folder(folder) if osp.isdir(folder) else self._of_csv()
        source = self._votes_source()
        if source != _OWN:
            self.COUNTS = {}  # those that are published are of the others
        score = READINGS[self.reading](votes)
        kept = score.any(axis=1)
        print_log(
            f'{type(self).__name__} {self.source_split}: {source}; reading {self.reading!r} leaves out '
            f'{int((~kept).sum()):,} of {len(kept):,} faces',
            logger='current',
        )
        columns = {key: column[kept] for key, column in columns.items()}
        columns['label'] = score[kept].argmax(axis=1)
        if self.reading != 'majority':
            columns['score'] = score[kept]
        return columns

    def _votes_source(self) -> str:
        """Which of the two published sets of votes these are; all splits must have the same."""
        sources = {}
        for split, folder in _FOLDER_OF.items():
            path = osp.join(self.data_root, folder, 'label.csv')
            if osp.isfile(path):
                sources[split] = _OWN if _has_box(next(csv_rows(path, iter_lines(path)), [])) else _FIRST
        mine = sources.get(self.source_split, _FIRST)
        other = next((split for split, source in sources.items() if source != mine), None)
        if other is not None:
            raise ValueError(
                f'{self.data_root} mixes two sets of votes of FER+: {self.source_split} has {mine}, {other} '
                f'{sources[other]}, and they differ; take all three folders from one place, or fer2013new.csv and '
                'fer2013.csv alone'
            )
        return mine

    def _of_folder(self, folder: str) -> tuple[dict[str, Any], np.ndarray]:
        self.IMAGE_FOLDER = osp.basename(folder)
        require_paths(type(self).__name__, folder, ('label.csv',), self.HOW_TO_GET)
        self.label_file = path = osp.join(folder, 'label.csv')
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
        return self._checked(names, lines, bad), np.array(votes).reshape(-1, len(VOTES))

    def _checked(self, names: list[str], lines: list[int], bad: BadLines) -> dict[str, np.ndarray]:
        columns = dict(name=names_array(names), line=np.array(lines, dtype=np.int32))
        add_repeated(columns['name'], columns['line'], bad)
        bad.raise_if_any()
        log_unlisted(self.image_folder, names, type(self).__name__)
        return columns

    def _of_csv(self) -> tuple[dict[str, Any], np.ndarray]:
        files = ('fer2013new.csv', 'fer2013.csv')
        require_paths(type(self).__name__, self.data_root, files, self.HOW_TO_GET)
        self.label_file, pixels = (osp.join(self.data_root, file) for file in files)
        bad = BadLines(self.label_file, f"'Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0': {_EXPECTED}")
        names, votes, usages, lines = [], [], [], []
        keys = {key: (key.lower(),) for key in (*VOTES, 'usage')} | dict(name=('image name',))
        for line, cells in read_csv(self.label_file, keys, bad):
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
        rows = read_fer_csv(pixels, self.source_split)
        mine = np.array([usage == self.source_split for usage in usages], dtype=bool)
        if rows.rows_in_file != len(votes) or not np.array_equal(np.flatnonzero(mine), rows.row):
            raise ValueError(
                f'{self.label_file} has {len(votes):,} rows, {int(mine.sum()):,} of them for '
                f'{self.source_split!r}, but {pixels} has {rows.rows_in_file:,} and {len(rows.row):,}; '
                'they must list the same faces in the same order: get both again, unsorted'
            )
        named = np.array([bool(name) for name in names])[mine]  # an empty name: the authors took the face out
        columns = dict(name=names_array(names)[mine], line=np.array(lines, dtype=np.int32)[mine], image=rows.image)
        return {key: column[named] for key, column in columns.items()}, np.array(votes)[mine][named]


def _has_box(cells: list[str]) -> bool:
    """In the authors' own files a box, '(0, 0, 48, 48)', stands between name and votes."""
    return ''.join(cells[1:2]).startswith('(')
