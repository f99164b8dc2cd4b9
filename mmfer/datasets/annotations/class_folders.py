"""Reading a folder a class."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Sequence

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.labels.schema import canonical
from mmfer.datasets.reading.files import is_image, name_a_few, names_array


def find_folder(root: str, candidates: Sequence[str]) -> str | None:
    """The first of the candidates that is a folder of ``root``, whatever its capitals."""
    for candidate in candidates:
        place, found = root, []
        for part in candidate.split('/'):
            inside = os.listdir(place) if osp.isdir(place) else []
            match = next((name for name in sorted(inside) if name.lower() == part.lower()), None)
            if match is None:
                break
            found.append(match)
            place = osp.join(place, match)
        else:
            if osp.isdir(place):
                return '/'.join(found)
    return None


def class_folders(folder: str) -> dict[str, str]:
    """The folders in a folder and the class each is named after; hidden ones and ``__MACOSX`` do not count."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return {name: canonical(name) for name in names if not name.startswith(('.', '__'))}


def read_class_folders(
    root: str, folder: str, classes: Sequence[str], dataset: str, complete: bool = True
) -> dict[str, np.ndarray]:
    """The images in the folders of the classes, sorted by class and name.

    Args:
        root: Data folder, which the names in the result are relative to.
        folder: Folder in it that has one folder a class. Synonyms and capitals of their names do not matter.
        classes: Class names in the order of the ids.
        dataset: Who asks, for the messages.
        complete: Whether there must be a folder for every class.

    Returns:
        ``name`` [N] and ``label`` int64 [N]. Files that are no images are counted in the log.

    Raises:
        ValueError: A folder is named after no class; FileNotFoundError where a class has none.
    """
    place, known = osp.join(root, folder), [canonical(name) for name in classes]
    folders = class_folders(place)
    unknown = [name for name, word in folders.items() if word not in known]
    if unknown:
        raise ValueError(
            f'{name_a_few(unknown)} in {place} is no class of {dataset}: expected a folder for each of '
            f'{", ".join(classes)} (synonyms are known); rename or move it'
        )
    lacking = [name for name, word in zip(classes, known, strict=True) if word not in folders.values()]
    if lacking and (complete or not folders):
        raise FileNotFoundError(
            f'{dataset} expects a folder for each of {", ".join(classes)} in {place}, which lacks '
            f'{", ".join(lacking)}; unpack the dataset again'
        )
    names, labels, others = [], [], 0
    for name in sorted(folders, key=lambda name: (known.index(folders[name]), name)):
        files = sorted(os.listdir(osp.join(place, name)))
        images = [file for file in files if is_image(file)]
        others += len(files) - len(images)
        names += ['/'.join((folder, name, file)) if folder else f'{name}/{file}' for file in images]
        labels += [known.index(folders[name])] * len(images)
    if others:
        print_log(
            f'{dataset}: {others:,} files in the class folders of {place} are no images and are not used',
            logger='current',
        )
    return dict(name=names_array(names), label=np.array(labels, dtype=np.int64))
