"""Where a file goes whose name comes from data: into its folder, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from mmfer.datasets.reading.files import require_inside

LONGEST = 240
"""Bytes of a name: file systems take 255, and an ending such as `.png.part` needs room."""


def place_inside(folder: str | Path, name: str) -> Path:
    """The file of a name in a folder that is written to.

    Args:
        folder: It need not be there yet.
        name: As an annotation file or a listing gives it, with `/` between folders.

    Raises:
        ValueError: It is no name of a file, leaves the folder (with `..`, as an absolute path, or through a linked
            sub-folder), or is too long for a file system.
    """
    folder = Path(folder)
    try:
        path = folder / require_inside(name)
        if not PurePath(name).name:
            raise ValueError('the name is empty')
        if longest := max((part for part in PurePath(name).parts if len(os.fsencode(part)) > LONGEST), default=''):
            raise ValueError(f'{longest[:20]}... is longer than {LONGEST} bytes')
        if not path.parent.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f'{path.parent} is a link that leads out of {folder}: delete the link')
    except ValueError as error:
        raise ValueError(f'{name[:80]!r} cannot be written as a file of {folder}: {error}') from None
    return path
