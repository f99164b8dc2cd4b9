"""Whether the images that a label file names are there."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.reading.files import SHOWN_NAMES, is_image, name_a_few

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
    """Logs how many images in the folders of ``names`` no name leads to; they are left alone."""
    if len(names) > _ALL_CHECKED:
        return
    there: dict[str, int] = {}
    found = set(names)
    for parent in {posixpath.dirname(name) for name in found}:
        place = os.path.join(folder, parent)
        for base in os.listdir(place) if os.path.isdir(place) else ():
            if is_image(base) and posixpath.join(parent, base) not in found:
                there[parent] = there.get(parent, 0) + 1
    if there:
        print_log(
            f'{dataset}: {sum(there.values()):,} images in {folder} are in no row of the label file and are not used',
            logger='current',
        )
