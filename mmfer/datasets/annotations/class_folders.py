"""Reading a folder a class."""

from __future__ import annotations

import os
import os.path as osp
import re
from collections.abc import Collection, Sequence

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.images.listing import SUB_FOLDER, is_hidden, list_files, say_passed_over
from mmfer.datasets.labels.schema import canonical
from mmfer.datasets.reading.files import name_a_few, names_array

BESIDE = 'beside the class folders'
"""A picture of no class, as it is counted."""


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
    return {name: _word(name) for name in names if not is_hidden(name, folder=True)}


def _word(name: str) -> str:
    return str(int(name)) if _is_number(name) else canonical(name)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def by_value(word: str) -> list[str | int]:
    """What words are sorted by such that 'group 2' comes before 'group 10'."""
    return [int(part) if place % 2 else part for place, part in enumerate(re.split('([0-9]+)', word))]


def classes_by_number(words: Collection[str], classes: Sequence[str], where: str) -> list[str]:
    """The numbers that stand for the classes, in their order, where folders are named by numbers.

    Args:
        words: What all folders are called (:func:`class_folders`).
        classes: Names of the classes, in the order of the numbers; none where nobody says them.
        where: The data folder, for the messages.

    Returns:
        '0' to 'K - 1', or '1' to 'K', K being the number of classes; none where folders have names, or the classes are
        called by these numbers.

    Raises:
        ValueError: It cannot be told which number is which class.
    """
    numbers = sorted({int(word) for word in words if _is_number(word)})
    if not numbers or set(words) <= {_word(name) for name in classes}:
        return []
    listed = name_a_few([str(number) for number in numbers])
    named = sorted(word for word in words if not _is_number(word))
    if named:
        raise ValueError(
            f'{where} has class folders that are named by numbers ({listed}) and others by names '
            f'({name_a_few(named)}): name all by the class'
        )
    count = len(classes)
    names_them = "metainfo=dict(classes=[...]), a name for each number in their order, or classes='rafdb' for RAF-DB's"
    if not classes:
        raise ValueError(
            f'the class folders of {where} are named by numbers ({listed}), which do not say what the classes are: '
            f'name them with {names_them}'
        )
    if {0, count} <= set(numbers) or numbers[-1] > count:
        raise ValueError(
            f'the class folders of {where} are named by the numbers {numbers[0]} to {numbers[-1]}, and '
            f'{count} classes are named ({", ".join(classes)}): name as many as there are numbers, with {names_them}'
        )
    if 0 not in numbers and count not in numbers:
        raise ValueError(
            f'the class folders of {where} are named by numbers ({listed}) of which neither 0 nor {count} is there, so '
            'that it cannot be told whether they count from 0 or from 1: name each folder by its class'
        )
    first = 0 if 0 in numbers else 1
    print_log(
        f'the class folders of {where} count from {first}: '
        + ', '.join(f'{number} is {name}' for number, name in enumerate(classes, first)),
        logger='current',
    )
    return [str(number) for number in range(first, first + count)]


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
        ``name`` [N] and ``label`` int64 [N]. What is passed over is said (:mod:`mmfer.datasets.images.listing`).

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
    beside, passed = list_files(place, below=False)
    del passed[SUB_FOLDER]  # the classes
    passed[BESIDE] += len(beside)
    names, labels = [], []
    for name in sorted(folders, key=lambda name: (known.index(folders[name]), name)):
        images, others = list_files(osp.join(place, name), below=False)
        passed += others
        names += ['/'.join((folder, name, file)) if folder else f'{name}/{file}' for file in images]
        labels += [known.index(folders[name])] * len(images)
    say_passed_over(place, passed, dataset)
    return dict(name=names_array(names), label=np.array(labels, dtype=np.int64))
