"""fer2013.csv: pixels as text."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from mmfer.datasets.labels.numbers import whole_number
from mmfer.datasets.reading.csv_table import read_csv
from mmfer.datasets.reading.files import BadLines

SIDE = 48
SPLIT_OF_USAGE = {'Training': 'train', 'PublicTest': 'val', 'PrivateTest': 'test'}


class FerRows(NamedTuple):
    """Rows of one split: ``row`` int64 [N] counts all rows of the file from 0, ``image`` is uint8 [N, 48, 48, 3]."""

    row: np.ndarray
    line: np.ndarray
    label: np.ndarray
    image: np.ndarray
    rows_in_file: int


def read_fer_csv(path: str, split: str) -> FerRows:
    """Reads the rows of a split from ``emotion,pixels,Usage``, in whichever order the header has them.

    Raises:
        ValueError: Lines that have no 48 x 48 pixels from 0 to 255, no emotion from 0 to 6, or an unknown usage.
    """
    bad = BadLines(
        path, f'emotion 0-6, {SIDE * SIDE} pixels 0-255 parted by blanks, usage Training, PublicTest or PrivateTest'
    )
    rows, count = [], 0
    names = dict(emotion=('emotion',), pixels=('pixels',), usage=('usage',))
    for line, cells in read_csv(path, names, bad):
        numbers = [whole_number(text) for text in cells['emotion']]
        emotions = [-1 if number is None or number not in range(7) else number for number in numbers]
        for number, text, emotion, usage in zip(line.tolist(), cells['emotion'], emotions, cells['usage'], strict=True):
            if emotion < 0 or usage not in SPLIT_OF_USAGE:
                bad.add(
                    number,
                    f'{text},...,{usage}',
                    'the emotion is not among 0-6' if emotion < 0 else f'usage {usage!r} is unknown',
                )
        mine = np.array([SPLIT_OF_USAGE.get(usage) == split for usage in cells['usage']], dtype=bool)
        texts = [text for text, wanted in zip(cells['pixels'], mine, strict=True) if wanted]
        rows.append(
            (
                count + np.flatnonzero(mine),
                line[mine],
                np.array(emotions, dtype=np.int64)[mine],
                _pixels(texts, line[mine], bad),
            )
        )
        count += len(line)
    bad.raise_if_any()
    row, line, label, grey = (
        (np.concatenate(columns) for columns in zip(*rows, strict=True))
        if rows
        else (np.empty(0, dtype=np.int64),) * 3 + (np.empty((0, SIDE, SIDE), dtype=np.uint8),)
    )
    return FerRows(row, line, label, np.repeat(grey[..., None], 3, axis=3), count)


def _pixels(texts: list[str], lines: np.ndarray, bad: BadLines) -> np.ndarray:
    images = np.zeros((len(texts), SIDE * SIDE), dtype=np.uint8)
    for row, (text, line) in enumerate(zip(texts, lines.tolist(), strict=True)):
        pixels = _numbers(text)
        if pixels is None:
            bad.add(line, text, 'the pixels are no numbers')
        elif len(pixels) != SIDE * SIDE:
            bad.add(line, text, f'{len(pixels)} pixels')
        elif pixels.min() < 0 or pixels.max() > 255:
            bad.add(line, text, 'a pixel is not in 0-255')
        else:
            images[row] = pixels
    return images.reshape(-1, SIDE, SIDE)


def _numbers(text: str) -> np.ndarray | None:
    # numpy parses five times faster than int() does: 28,709 faces in seconds.
    with warnings.catch_warnings():
        warnings.simplefilter('error', DeprecationWarning)  # "could not be read to its end"
        try:
            return np.fromstring(text, dtype=np.int64, sep=' ') if text else np.empty(0, dtype=np.int64)
        except (DeprecationWarning, ValueError):
            return None
