"""What a dataset is made of, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


def face_datasets(dataset: Any) -> Iterator[Any]:
    """The FaceDatasets in a dataset: itself, or what it is made of."""
    if getattr(dataset, 'columns', None):
        yield dataset
    for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if part is not None:
            yield from face_datasets(part)


def split_of(dataset: Any) -> str:
    """The name of the split that a dataset, or what it is made of, has."""
    while not hasattr(dataset, 'split'):
        inner = getattr(dataset, 'dataset', None) or next(iter(getattr(dataset, 'datasets', [])), None)
        if inner is None:
            return 'validation'
        dataset = inner
    return str(dataset.split)


def classes_of(dataset: Any) -> Sequence[str] | None:
    """The names of its classes; None where it has none."""
    return (getattr(dataset, 'metainfo', None) or {}).get('classes')
