"""What a dataset does about images that cannot be used: one list of all, or without them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmfer.datasets.columns import Columns, take
from mmfer.datasets.images.image_check import check_images
from mmfer.datasets.images.image_files import as_on_disk, require_images
from mmfer.structures.printable import printable_name

_SHOWN = 10


class BadImage(NamedTuple):
    """A picture that cannot be used: its row, its path and where it is listed, and what is wrong with it."""

    row: int
    place: str
    fault: str


def find_bad_images(
    columns: Columns, folder: str, what: str, label_file: str | None = None
) -> tuple[list[BadImage], np.ndarray]:
    """All bad images of a dataset by row, and the sizes of all, int32 [N, 2] as (width, height), 0 where bad.

    Args:
        columns: As of :meth:`FaceDataset.load_columns`.
        folder: Of the images.
        what: Name of the dataset, for the progress bar.
        label_file: What the column 'line' counts in.
    """
    found = check_images(folder, columns.get('file', columns['name']).tolist(), what)
    bad = zip(found.rows.tolist(), found.faults.tolist(), strict=True)
    return [BadImage(row, place_of(row, columns, folder, label_file), fault) for row, fault in bad], found.size


def place_of(row: int, columns: Columns, folder: str, label_file: str | None = None) -> str:
    """Path of an image, and where it is listed: ``images/anna.jpg (labels.txt:12)``."""
    path = printable_name(os.path.join(folder, str(columns.get('file', columns['name'])[row])))
    listed = label_file is not None and 'line' in columns
    return f'{path} ({os.path.basename(str(label_file))}:{columns["line"][row]})' if listed else path


def usable_images(
    columns: Columns, folder: str, what: str, label_file: str | None, on_bad_image: str
) -> tuple[Columns, list[BadImage]]:
    """The rows whose images can be used, and the images that are left out.

    Of images that are there under a name that is spelt otherwise, the column 'file' has that name.

    With 'raise' these are all rows, and only missing images are looked for, which takes no time: whoever trains has
    the rest checked by :func:`mmfer.engine.checks.images.check_images`.

    Raises:
        FileNotFoundError: With 'raise': images are missing.
        ValueError: With 'raise': images are missing and others are bad; with 'skip': none is left.
    """
    if on_bad_image == 'raise':
        try:
            require_images(folder, columns.get('file', columns['name']), what, label_file, columns.get('line'))
        except FileNotFoundError:
            if (spelt := _as_on_disk(columns, folder, what)) is not None:
                return usable_images(spelt, folder, what, label_file, on_bad_image)
            bad, _ = find_bad_images(columns, folder, what, label_file)
            if all(image.fault == 'missing' for image in bad):
                raise
            raise bad_images_error(bad, f'of the {len(columns["name"]):,} images that {what} lists') from None
        return columns, []
    bad, _ = find_bad_images(columns, folder, what, label_file)
    if not bad:
        return columns, []
    if any(image.fault == 'missing' for image in bad) and (spelt := _as_on_disk(columns, folder, what)) is not None:
        return usable_images(spelt, folder, what, label_file, on_bad_image)
    if len(bad) == len(columns['name']):
        raise bad_images_error(bad, f'of the {len(bad):,} images that {what} lists')
    print_log(
        f"{what}: on_bad_image='skip' leaves out {len(bad):,} of {len(columns['name']):,} images:"
        + ''.join(f'\n  {image.place}: {image.fault}' for image in bad),
        logger='current',
        level=logging.WARNING,
    )
    good = np.ones(len(columns['name']), dtype=bool)
    good[[image.row for image in bad]] = False
    return take(columns, good), bad


def _as_on_disk(columns: Columns, folder: str, what: str) -> Columns | None:
    """With a column 'file' for images that are there under another name than the listed; None where none is."""
    listed = columns.get('file', columns['name'])
    files = as_on_disk(folder, listed, what, endings='box' not in columns)  # a box may be of another picture
    return None if files is listed else {**columns, 'file': files}


def bad_images_error(bad: Sequence[BadImage], whose: str) -> ValueError:
    """One list of all bad pictures, the first ten by name.

    Args:
        bad: The bad ones.
        whose: Of what these are the bad ones, such as 'of the 12,271 images that RAFDB train lists'.
    """
    listed = [f'{image.place}: {image.fault}' for image in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        kinds = Counter(image.fault.partition(' (')[0] for image in bad)
        counts = ', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())
        listed.append(
            f'... and {len(bad) - _SHOWN:,} more ({counts} in all; tools/dataset_tools/check.py lists every one)'
        )
    return ValueError(
        f'{len(bad):,} {whose} cannot be used; restore them, take their rows out of the label file, or '
        "leave them out with on_bad_image='skip':\n  " + ';\n  '.join(listed)
    )
