"""What is done to the columns of a dataset: pure functions from columns to columns.

Columns are a dict of arrays of equal length; :meth:`FaceDataset.load_columns` lists their names.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import numpy as np

from mmfer.datasets.labels.manifest_labels import labels_from
from mmfer.datasets.labels.noise import noisy_labels
from mmfer.datasets.labels.schema import label_map
from mmfer.datasets.reading.files import names_array

Columns = dict[str, np.ndarray]


class Faces(Protocol):
    """A dataset whose rows are columns, as those see it that a :class:`FaceDataset` is made with."""

    columns: Columns
    pipeline: Any  # mmengine's Compose
    image_folder: str
    source_classes: tuple[str, ...]
    split: str
    landmarks: str | None
    test_mode: bool

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """What the pipeline gets for one face."""
        ...


def take(columns: Columns, rows: slice | np.ndarray) -> Columns:
    """Some of the rows: a slice, a mask or ids."""
    return {key: column[rows] for key, column in columns.items()}


def check_columns(columns: Columns) -> Columns:
    """What every format must deliver.

    Raises:
        ValueError: A column is missing, or columns do not fit each other.
    """
    sizes = {key: len(column) for key, column in columns.items()}
    if not {'name', 'label'} <= sizes.keys():
        raise ValueError(f"load_columns() returned only {sorted(sizes)}: 'name' and 'label' are needed")
    if len(set(sizes.values())) != 1:
        raise ValueError(f'load_columns() returned columns of different lengths: {sizes}')
    if 'score' in columns and columns['score'].ndim != 2:
        raise ValueError(f"load_columns() returned a 'score' of shape {columns['score'].shape}: it must be [N, K]")
    return {
        **columns,
        'label': np.asarray(columns['label'], dtype=np.int64),
        'name': names_array(columns['name']),
    }


def check_labels(columns: Columns, classes: Sequence[str], where: str) -> None:
    """Every label is one of the classes.

    Raises:
        ValueError: Some is not; the first is named.
    """
    wrong = np.flatnonzero((columns['label'] < 0) | (columns['label'] >= len(classes)))
    if len(wrong):
        name, label = str(columns['name'][wrong[0]]), columns['label'][wrong[0]]
        raise ValueError(
            f'{where} gives {len(wrong):,} faces a label that is no class, first {name} the label '
            f'{label}: its {len(classes)} classes are 0 to {len(classes) - 1}; load_columns() is to leave '
            'out faces without one'
        )


def map_classes(columns: Columns, source: Sequence[str], target: Sequence[str], drop: Collection[str] = ()) -> Columns:
    """Labels, clean labels and votes from the ids of ``source`` to those of ``target``, by name.

    Rows whose observed label is dropped on purpose go; so do votes for dropped classes, and the rest is rescaled to 1.
    """
    if not source or (tuple(source) == tuple(target) and not drop):
        return columns
    to = label_map(source, target, drop)
    columns = take(columns, to[columns['label']] >= 0)
    columns = {**columns, 'label': to[columns['label']]}
    if 'clean_label' in columns:
        clean = columns['clean_label']
        columns['clean_label'] = np.where(clean >= 0, to[clean], -1)
    if 'score' in columns:
        score = np.zeros((len(columns['label']), len(target)), dtype=np.float32)
        score[:, to[to >= 0]] = columns['score'][:, to >= 0]
        votes = score.sum(axis=1, keepdims=True)
        own = np.eye(len(target), dtype=np.float32)[columns['label']]  # all votes were for classes that are left out
        columns['score'] = np.where(votes > 0, score / np.maximum(votes, np.finfo(np.float32).tiny), own)
    return columns


def add_noise(columns: Columns, classes: Sequence[str], kind: str, **settings: Any) -> Columns:
    """Other observed labels beside the clean ones. Votes go: they would give the noise away.

    Args:
        columns: ``label`` is changed.
        classes: Names of the classes, in the order of the ids.
        kind: 'manifest', 'corrections' (a manifest whose changes are believed to be right, so that no label is known to
            be clean but where ``clean_label`` was there before), or a kind of
            :func:`~mmfer.datasets.labels.noise.noisy_labels`.
        settings: ``file`` for the first two, otherwise ``rate``, ``seed`` and ``confusions``.
    """
    columns = {key: column for key, column in columns.items() if key != 'score'}
    clean = np.full_like(columns['label'], -1) if kind == 'corrections' else columns['label']
    if kind in ('manifest', 'corrections'):
        if settings.keys() != {'file'}:
            raise ValueError(
                f"label noise of kind={kind!r} takes file and nothing else (its rate is the file's), "
                f'got {", ".join(settings) or "nothing"}; label_noise=dict(_delete_=True, kind=..., '
                'file=...) takes out what the base config has'
            )
        noisy = labels_from(osp.expanduser(settings['file']), columns['name'].tolist(), columns['label'], classes)
    else:
        noisy = noisy_labels(columns['label'], classes, kind, **settings)
    return {**columns, 'label': noisy, 'clean_label': columns.get('clean_label', clean)}
