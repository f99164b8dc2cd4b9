"""Whether the images that a label file names are there, and what they are called."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Container, Iterable, Sequence

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.images.listing import OTHER_PICTURES, kind_of, list_files
from mmfer.datasets.reading.files import SHOWN_NAMES, is_image, name_a_few, names_array
from mmfer.datasets.reading.names import normal_name, normal_names

# Above this, listing folders takes minutes on a network disk, and the names in them gigabytes.
_ALL_CHECKED = 2_000_000
_SAMPLE = 10_000


def require_images(
    folder: str, names: np.ndarray, dataset: str, label_file: str | None = None, lines: np.ndarray | None = None
) -> None:
    """Checks that the images are there; of more than two million, 10,000 spread over all.

    Args:
        folder: Where they should be.
        names: Their paths in it, [N].
        dataset: Who lists them, for the message.
        label_file: The text file that lists them, if one does.
        lines: Where in it, [N].

    Raises:
        FileNotFoundError: Some are missing; with count, first names with their lines, and cure.
    """
    rows = np.arange(len(names))
    if len(names) > _ALL_CHECKED:
        rows = np.linspace(0, len(names) - 1, _SAMPLE, dtype=np.int64)
        print_log(
            f'{dataset}: {len(names):,} images; whether they are there is checked for {_SAMPLE:,} of them',
            logger='current',
        )
    missing = rows[missing_rows(folder, names[rows])]
    if len(missing):
        shown = [
            str(names[row]) + ('' if lines is None else f' ({os.path.basename(str(label_file))}:{lines[row]})')
            for row in missing[: SHOWN_NAMES + 1]
        ]
        raise FileNotFoundError(
            f'{len(missing):,} of the {len(rows):,} images that {dataset} lists are not in {folder}: '
            f'{name_a_few(shown)}; unpack the images again, or take their rows out of the label file'
        )


def missing_rows(folder: str, names: Iterable[str]) -> np.ndarray:
    """Which of the names are no files of ``folder``: their positions.

    Each folder is listed once. One ``stat`` a row would take minutes for 284k rows on a network disk.
    """
    listed: dict[str, set[str]] = {}
    missing = []
    for row, name in enumerate(names):
        parent, base = posixpath.split(name)
        if parent not in listed:
            place = os.path.join(folder, parent)
            listed[parent] = set(os.listdir(place)) if os.path.isdir(place) else set()
        if base not in listed[parent]:
            missing.append(row)
    return np.array(missing, dtype=np.int64)


def log_unlisted(folder: str, names: Sequence[str] | np.ndarray, dataset: str) -> None:
    """Logs how many pictures in the folders of ``names`` no name leads to, by kind; they are left alone."""
    if len(names) > _ALL_CHECKED:
        return
    listed = set(normal_names(list(names)))
    unlisted: list[str] = []
    for parent in {posixpath.dirname(name) for name in listed}:
        place = os.path.join(folder, parent)
        if os.path.isdir(place):
            there = list_files(place, below=False, wanted=_is_picture).names
            unlisted += normal_names([posixpath.join(parent, base) for base in there])
    absent = {stem_of(name) for name in listed.difference(unlisted)}
    unlisted = [name for name in unlisted if name not in listed and not (is_image(name) and stem_of(name) in absent)]
    if unlisted:
        kinds = ', '.join(f'{count:,} {kind}' for kind, count in Counter(map(kind_of, unlisted)).most_common())
        print_log(
            f'{dataset}: {len(unlisted):,} images in {folder} are in no row of the label file and are not used '
            f'({kinds})',
            logger='current',
        )


def _is_picture(name: str) -> bool:
    return is_image(name) or kind_of(name) in OTHER_PICTURES


def as_on_disk(folder: str, names: np.ndarray, dataset: str, endings: bool = True) -> np.ndarray:
    r"""The names as they are on disk, of images that are there under names that are spelt otherwise.

    These are ``.\x\a.jpg`` for ``x/a.jpg``, letters with accents as one character or two, and another ending, or a name
    without RAF-DB's ``_aligned``, where one image alone has the rest of the name: ``tools/dataset_tools/align.py``
    writes such. The log says which.

    Args:
        folder: Where they should be.
        names: Their paths in it, [N].
        dataset: Who lists them, for the message.
        endings: Whether ``.jpg`` and ``_aligned`` may differ.

    Returns:
        The names, [N]; the very same array where none is found so.
    """
    folders = _Folders(folder)
    missing = missing_rows(folder, names).tolist()
    listed = set(normal_names(names.tolist())) if missing else set()
    found = {}
    for row in missing:
        name = normal_name(str(names[row]))
        there = folders.spelt(name) or (folders.with_other_ending(name, listed) if endings else None)
        if there is not None:
            found[row] = there
    if not found:
        return names
    shown = name_a_few([f'{there} for {names[row]}' for row, there in list(found.items())[: SHOWN_NAMES + 1]])
    print_log(
        f'{dataset}: {len(found):,} of {len(names):,} images are there under a name that is spelt otherwise, which is '
        f'taken: {shown}',
        logger='current',
    )
    spelt = names.tolist()
    for row, there in found.items():
        spelt[row] = there
    return names_array(spelt)


def stem_of(name: str) -> str:
    """What stays of an image's name where ending and spelling do not count, nor RAF-DB's ``_aligned``."""
    return posixpath.splitext(normal_name(name))[0].removesuffix('_aligned')


class _Folders:
    """What is in the folders below one, each listed once."""

    def __init__(self, root: str):
        self.root = root
        self._listed: dict[str, dict[str, str]] = {}
        self._by_stem: dict[str, dict[str, list[str]]] = {}

    def spelt(self, name: str) -> str | None:
        """A path as it is on disk, of one that :func:`normal_name` gave; None where there is none."""
        there = ''
        for part in name.split('/'):
            base = self._inside(there).get(part)
            if base is None:
                return None
            there = posixpath.join(there, base)
        return there

    def with_other_ending(self, name: str, listed: Container[str]) -> str | None:
        """The one image of the same :func:`stem_of`, unless it is listed itself."""
        parent, base = posixpath.split(name)
        there = self.spelt(parent) if parent else ''
        if there is None:
            return None
        if there not in self._by_stem:
            stems: dict[str, list[str]] = {}
            for part in filter(is_image, self._inside(there)):
                stems.setdefault(stem_of(part), []).append(part)
            self._by_stem[there] = stems
        found = self._by_stem[there].get(stem_of(base), [])
        if len(found) != 1 or posixpath.join(parent, found[0]) in listed:
            return None
        return posixpath.join(there, self._inside(there)[found[0]])

    def _inside(self, folder: str) -> dict[str, str]:
        """What is in a folder, by the names that are compared."""
        if folder not in self._listed:
            place = os.path.join(self.root, folder)
            inside = os.listdir(place) if os.path.isdir(place) else []
            self._listed[folder] = {normal_name(base): base for base in inside}
        return self._listed[folder]
