"""Lists of noisy labels as they circulate: an image and the number of a class a line."""

from __future__ import annotations

import os.path as osp
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from .files import name_a_few, parse_lines

_LINE = re.compile(r'(.*?\S)[\s,;]+(\d+)')


def read_noise_list(
    path: str, names: Sequence[str], num_classes: int, base: int | None = None
) -> tuple[np.ndarray, int]:
    """Reads the labels of a training set from a list.

    RAF-DB's circulate in two forms. Those of `EAC <https://github.com/zyh-uaiaaaa/Erasing-Attention-Consistency>`_
    (noise01.txt, noise02.txt, noise03.txt) look like the training rows of RAF-DB's own label file, classes counted
    from 1; those of `SCN <https://github.com/kaiwang960112/Self-Cure-Network>`_ (0.1noise_train.txt,
    0.2noise_train.txt) have the authors' absolute paths and classes counted from 0::

        train_00001.jpg 5
        /home/.../RAFDB_DATA/aligned/train_00001_aligned.jpg 4

    Names are compared as they are, or else without folder, extension and ``_aligned``.

    Args:
        path: The list; blanks, tabs, commas or semicolons stand between name and number.
        names: N names of the training set.
        num_classes: K.
        base: What the first class counts as, 0 or 1. Defaults to None: as the numbers tell.

    Returns:
        Class ids int64 [N] in the order of ``names``, and the base.

    Raises:
        ValueError: The list has bad lines, or is not of these faces, or its numbers do not tell their base.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no list of noisy labels {path}')
    rows = parse_lines(path, _parse, "'train_00001.jpg 5': an image and the number of its class")
    listed, numbers = [name for name, _ in rows], np.array([number for _, number in rows], dtype=np.int64)
    names = list(names)
    if set(listed) != set(names):
        listed, names = ([_stem(name) for name in column] for column in (listed, names))
    for whose, column in ((path, listed), ('the training set', names)):
        twice = [name for name, count in Counter(column).items() if count > 1]
        if twice:
            raise ValueError(
                f'{whose} has several rows of {name_a_few(twice)}, so that it cannot be told which label '
                'belongs to which face; leave one row of each'
            )
    place = {name: row for row, name in enumerate(listed)}
    missing, known = [name for name in names if name not in place], set(names)
    strange = [name for name in listed if name not in known]
    if missing or strange:
        less = f'lacks {len(missing):,} of the {len(names):,} training faces ({name_a_few(missing)})' if missing else ''
        more = f'lists {len(strange):,} images that are none ({name_a_few(strange)})' if strange else ''
        raise ValueError(
            f'{path} {" and ".join(filter(None, (less, more)))}; it must have a row for each training '
            'face and no other, the test split least of all: take the list made of these data'
        )
    base = _base(path, numbers, num_classes, base)
    return numbers[[place[name] for name in names]] - base, base


def _parse(line: str) -> tuple[str, int]:
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError
    return match[1], int(match[2])


def _stem(name: str) -> str:
    return osp.splitext(name.replace('\\', '/').rsplit('/', 1)[-1])[0].removesuffix('_aligned')


def _base(path: str, numbers: np.ndarray, num_classes: int, base: int | None) -> int:
    low, high = int(numbers.min()), int(numbers.max())
    fits = [first for first in (0, 1) if first <= low and high < num_classes + first]
    if base is not None and base not in fits:
        raise ValueError(
            f'{path} has class numbers from {low} to {high}, which are not {num_classes} classes counted from {base}'
        )
    if not fits:
        raise ValueError(
            f'{path} has class numbers from {low} to {high}, but the training set has {num_classes} '
            f'classes, 0-{num_classes - 1} or 1-{num_classes}; correct the numbers, or the classes'
        )
    if base is None and len(fits) == 2:
        raise ValueError(
            f'{path} has class numbers from {low} to {high}, which may count from 0 or from 1; say which: '
            '--base 0 or --base 1'
        )
    return fits[0] if base is None else base
