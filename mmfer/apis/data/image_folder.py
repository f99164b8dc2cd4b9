"""Folders of images that a tool works through, over as many interruptions as it takes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmfer.datasets.images.listing import list_files, passed_over, say_passed_over
from mmfer.datasets.images.pictures import look_at, read_picture
from mmfer.datasets.reading.csv_cells import written_csv
from mmfer.datasets.reading.files import IMAGE_EXTENSIONS
from mmfer.datasets.reading.lines import read_lines
from mmfer.structures.whole_files import written_whole


def image_names(folder: str | Path, leave_out: Path | None = None) -> list[str]:
    """Names of all images of a folder and its subfolders relative to it, with `/`, in order.

    What is passed over is said (:mod:`mmfer.datasets.images.listing`).

    Args:
        folder: Where to look.
        leave_out: A picture that is none of them, though it may lie there.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It has no image.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'there is no folder {folder}')
    leave_out = leave_out and leave_out.absolute()
    names, passed = list_files(str(folder), below=True)
    names = [name for name in names if Path(folder, name).absolute() != leave_out]
    if not names:
        others = passed_over(folder, passed)
        raise ValueError(f'{folder} has no image (looked for {", ".join(IMAGE_EXTENSIONS)}){others and "; "}{others}')
    say_passed_over(folder, passed)
    return names


def read_or_reason(path: str | Path) -> tuple[np.ndarray | None, str]:
    """A picture as training reads it, BGR uint8 [H, W, 3], and ''; or None, and what is wrong with it."""
    try:
        return read_picture(str(path)), ''
    except (ValueError, OSError):
        return None, look_at(str(path)).fault or 'cut off or damaged'


def write_failures(path: Path, names: Sequence[str], reasons: Sequence[str]) -> None:
    """Writes a csv of name and reason for all names with one; the file is there when it is complete."""
    with written_csv(path) as writer:
        writer.writerow(['name', 'reason'])
        writer.writerows(row for row in zip(names, reasons, strict=True) if row[1])


def names_and_sizes(folder: str | Path, names: Sequence[str]) -> dict[str, Any]:
    """Count and hash of the names and sizes of images: enough to tell that some were added, taken away or replaced."""
    digest = hashlib.sha256()
    for name in names:
        path = Path(folder, name)
        size = path.stat().st_size if path.exists() else -1  # a link that leads nowhere
        digest.update(f'{name}\0{size}\n'.encode(errors='surrogateescape'))
    return dict(count=len(names), sha256=digest.hexdigest())


def keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Writes what a run is made of beside what it makes, or compares it with what is there.

    Raises:
        ValueError: The work in that folder was begun with other settings, or they cannot be read.
    """
    now = json.loads(json.dumps(settings))
    if not path.exists():
        with written_whole(path) as stream:
            stream.write(json.dumps({**now, 'checksum': _checksum(now)}, indent=1) + '\n')
    before = kept_settings(path)
    if before is None:
        raise ValueError(f'{path} is damaged: delete the folder {path.parent} to begin anew')
    other = [key for key in now if before.get(key) != now[key]]
    if other:
        raise ValueError(
            f'{path.parent} was begun with other {" and other ".join(other)} (see {path.name} there): '
            'give the same again to go on, delete that folder to begin anew, or write to another place'
        )


def kept_settings(path: Path) -> dict[str, Any] | None:
    """What :func:`keep_settings` has written; None where that is damaged, or not there."""
    try:
        settings = json.loads('\n'.join(read_lines(str(path))))
        whole = settings.pop('checksum', None) in (None, _checksum(settings))  # those of earlier versions have none
    except Exception:
        return None
    return settings if whole else None


def _checksum(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
