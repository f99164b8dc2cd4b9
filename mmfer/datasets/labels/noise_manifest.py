"""Label noise in a file: made once, published, and the same wherever it is read."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mmfer.datasets.labels.schema import stored_classes
from mmfer.datasets.reading.csv_cells import CellWriter, restored_rows
from mmfer.datasets.reading.csv_table import csv_rows
from mmfer.datasets.reading.files import BadLines
from mmfer.datasets.reading.lines import read_lines
from mmfer.datasets.reading.names import is_line
from mmfer.structures.whole_files import written_whole

FIRST_LINE = '# mmfer label noise manifest, version 1'
COLUMNS = 'name,clean,noisy'


@dataclass(frozen=True)
class NoiseManifest:
    """All faces of a training set, each with the label it has and the label it is to be trained with.

    On disk it is a csv file below a header of comments. The hash is that of the rows, ``name,clean,noisy`` included, as
    ``grep -v '^#' FILE | sha256sum`` prints it; whoever cites it has said which noise it was::

        # mmfer label noise manifest, version 1
        # kind: symmetric
        # rate: 0.3
        # seed: 0
        # realised: 29.97 % (3,677 of 12,271)
        # realised by class: surprise 29.15 % (376 of 1,290), ...
        # classes: ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
        # sha256: 63a1...
        name,clean,noisy
        train_00001_aligned.jpg,sadness,anger

    Args:
        names: N names of images, in the order of the training set.
        clean: Class ids before noise [N].
        noisy: Class ids to train with [N].
        classes: K names.
        made: What the noise is and how it was made, for the header: kind, rate, seed, ...
    """

    names: Sequence[str]
    clean: np.ndarray
    noisy: np.ndarray
    classes: Sequence[str]
    made: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def rows(self) -> str:
        """The csv without the header."""
        text = io.StringIO()
        text.write(f'{COLUMNS}\n')
        clean, noisy = ([self.classes[label] for label in labels.tolist()] for labels in (self.clean, self.noisy))
        CellWriter(text, lineterminator='\n').writerows(zip(self.names, clean, noisy, strict=True))
        return text.getvalue()

    @property
    def sha256(self) -> str:
        """Hash of the rows."""
        return hashlib.sha256(self.rows.encode()).hexdigest()

    @property
    def changed(self) -> np.ndarray:
        """Changed faces of each class [K]."""
        return np.bincount(self.clean[self.noisy != self.clean], minlength=len(self.classes))

    @property
    def faces(self) -> np.ndarray:
        """Faces of each class [K]."""
        return np.bincount(self.clean, minlength=len(self.classes))

    @property
    def realised(self) -> float:
        """Share of the faces whose label was changed."""
        return float((self.noisy != self.clean).mean())

    def write(self, path: str) -> None:
        """Writes the file, or leaves what was there as it is.

        Raises:
            ValueError: A name would not come back from a line of text.
        """
        bad = next((name for name in self.names if not is_line(name)), None)
        if bad is not None:
            raise ValueError(
                f'{bad!r} cannot stand in a manifest: a name must be one line of text in UTF-8; rename the image'
            )
        by_class = [
            f'{name} {_share(*counts)}' for name, *counts in zip(self.classes, self.changed, self.faces, strict=True)
        ]
        header = {
            **self.made,
            'realised': _share(self.changed.sum(), len(self.names)),
            'realised by class': ', '.join(by_class),
            'classes': list(self.classes),
            'sha256': self.sha256,
        }
        lines = [
            FIRST_LINE,
            *(f'# {key}: {value if isinstance(value, str) else json.dumps(value)}' for key, value in header.items()),
        ]
        with written_whole(path, encoding='utf-8', newline='\n') as stream:
            stream.write('\n'.join(lines) + '\n' + self.rows)


def read_manifest(path: str) -> NoiseManifest:
    """Reads what :meth:`NoiseManifest.write` wrote, whatever an editor did to its line ends.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no manifest, or its rows are not those that its hash is of.
    """
    how_to_make = 'make one with python tools/dataset_tools/noise.py CONFIG OUT.csv'
    if not os.path.isfile(path):
        raise FileNotFoundError(f'there is no label noise manifest {path}; {how_to_make}')
    lines = read_lines(path)
    start = lines.index(COLUMNS) if COLUMNS in lines else 0
    made = dict(line.removeprefix('# ').split(': ', 1) for line in lines[1:start] if ': ' in line)
    if not start or lines[0] != FIRST_LINE or not made.keys() >= {'classes', 'sha256'}:
        raise ValueError(
            f'{path} is no label noise manifest (it would begin with {FIRST_LINE!r}); {how_to_make}, '
            'from a list of names and labels with --import LIST'
        )
    digest = hashlib.sha256(('\n'.join(lines[start:]) + '\n').encode()).hexdigest()
    if digest != made['sha256']:
        raise ValueError(
            f'the rows of {path} were changed after it was made: their sha256 is {digest}, its header '
            f'says {made["sha256"][:80]}; take the file as it was published, or make it again'
        )
    classes = stored_classes(made['classes'], f"the header's classes of {path}")
    ids = {name: i for i, name in enumerate(classes)}
    bad = BadLines(path, f'{COLUMNS}, of the classes {", ".join(classes)[:500]}')
    names, labels = [], np.zeros((len(lines) - start - 1, 2), dtype=np.int64)
    for row, cells in enumerate(restored_rows(csv_rows(path, lines[start + 1 :], start + 2))):
        bad.looked_at += 1
        if len(cells) != 3 or not ids.keys() >= {*cells[1:]}:
            bad.add(start + 2 + row, lines[start + 1 + row], 'no name and two classes of the header')
            continue
        names.append(cells[0])
        labels[row] = ids[cells[1]], ids[cells[2]]
    bad.raise_if_any()
    derived = ('realised', 'realised by class', 'classes', 'sha256')
    return NoiseManifest(names, *labels.T, classes, {key: made[key] for key in made if key not in derived})


def _share(part: int, whole: int) -> str:
    return f'{100 * part / max(whole, 1):.2f} % ({part:,} of {whole:,})'
