"""Where faces are, whatever their folder is called: whether two data sets have some in common."""

from __future__ import annotations

import os
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Any

import numpy as np

from mmfer.datasets.images.image_files import stem_of

_MOST_LINKS = 2_000_000
"""Of a larger set listing its folders to look for links takes minutes."""
_AT_ONCE = 100_000


class FacePlaces:
    """Says of each face of a data set where it is, alike for './data', '/home/me/data', 'data/' and a link to it.

    A folder is known by its number on its disk, which takes one question a folder, and a link to a file by what it
    leads to. Copies and hard links are other files, in which
    :mod:`mmfer.datasets.images.duplicates` finds the same picture.
    """

    def __init__(self) -> None:
        self._folders: dict[str, Hashable] = {}
        self._links: dict[str, dict[str, tuple[Hashable, str]]] = {}

    def of(self, dataset: Any, called: Collection[str] | None = None) -> Iterator[tuple[Any, ...]]:
        """The place of each row of a FaceDataset, in order; equal for the same face of the same file.

        Args:
            dataset: Whose rows.
            called: Names of files that are looked for: rows of which nothing can be one of them are left out, which
                spares most of the time. None: all rows.
        """
        folder, columns = dataset.image_folder, dataset.columns
        on_disk = 'image' not in columns or 'ori_shape' in columns  # the latter are packed files
        links = on_disk and len(columns['name']) <= _MOST_LINKS
        files = columns.get('file', columns['name'])
        if not on_disk and dataset.label_file:  # faces that are rows of a file, which may be a link
            place = self.link(dataset.label_file)
            yield from ((*place, name) for name in columns['name'].tolist())
            return
        for start in range(0, len(files), _AT_ONCE):  # ten million names at once would be a gigabyte of str
            rows = slice(start, start + _AT_ONCE)
            for file, name in zip(files[rows].tolist(), columns['name'][rows].tolist(), strict=True):
                if called is not None and not links and file[file.rfind('/') + 1 :] not in called:
                    continue
                part = 'file' in columns and stem_of(file) != stem_of(name)  # one of several faces of a photo
                yield (*self._place(folder, file, links), *((name,) if part else ()))

    def folder(self, path: str) -> Hashable:
        """What a folder is, however it is called; its path where it is not there."""
        if path not in self._folders:
            try:
                entry = os.stat(path or os.curdir)
                self._folders[path] = entry.st_dev, entry.st_ino
            except OSError:
                self._folders[path] = os.path.abspath(path)
        return self._folders[path]

    def link(self, path: str) -> tuple[Hashable, str]:
        """What a file is, whatever leads to it."""
        parent, base = os.path.split(os.path.realpath(path))
        return self.folder(parent), base

    def _place(self, folder: str, name: str, links: bool) -> tuple[Hashable, str]:
        parent, _, base = name.rpartition('/')
        place = os.path.join(folder, parent) if parent else folder
        if links:
            if place not in self._links:
                self._links[place] = self._links_in(place)
            if base in self._links[place]:
                return self._links[place][base]
        return self.folder(place), base

    def _links_in(self, folder: str) -> dict[str, tuple[Hashable, str]]:
        try:
            with os.scandir(folder or os.curdir) as entries:
                links = [entry.name for entry in entries if entry.is_symlink()]
        except OSError:
            return {}
        return {name: self.link(os.path.join(folder, name)) for name in links}


def shared_rows(these: Iterable[Any], those: Iterable[Any]) -> np.ndarray:
    """Which of the faces of ``these`` FaceDatasets, one after the other, are in ``those``, too; bool [N]."""
    first, second = list(these), list(those)
    number = sum(len(dataset.columns['name']) for dataset in first)
    # The smaller side is listed, as ten million places would take gigabytes, and the other one held against it.
    small, large = sorted((first, second), key=lambda side: sum(len(dataset.columns['name']) for dataset in side))
    places = FacePlaces()
    wanted = {place for dataset in small for place in places.of(dataset)}
    called = {place[1] for place in wanted}
    both = {place for dataset in large if wanted for place in places.of(dataset, called) if place in wanted}
    if not both:
        return np.zeros(number, dtype=bool)
    return np.fromiter((place in both for dataset in first for place in places.of(dataset)), dtype=bool, count=number)
