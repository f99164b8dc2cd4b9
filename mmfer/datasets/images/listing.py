"""Which files of a folder are pictures, and what is passed over: one rule for training and for all tools."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from mmengine.logging import print_log

from mmfer.datasets.reading.files import is_image

HIDDEN, HIDDEN_FOLDER = 'hidden', 'hidden folder'
SUB_FOLDER, LINKED_FOLDER = 'sub-folder', 'linked folder'
_SYSTEMS = ('thumbs.db', 'ehthumbs.db', 'desktop.ini', '@eadir')
"""What Windows and Synology's disks leave beside pictures, and hide."""
OTHER_PICTURES = {
    *('.gif', '.heic', '.heif', '.avif', '.jp2', '.j2k', '.jxl', '.jxr', '.tga', '.psd', '.svg', '.eps', '.pbm'),
    *('.dng', '.cr2', '.cr3', '.nef', '.arw', '.raf', '.orf', '.rw2', '.raw', '.exr', '.hdr', '.pcx', '.ico'),
}
"""Pictures of kinds that are not read: animated, or of no decoder that is always there."""


class Listing(NamedTuple):
    """``names`` relative to the folder, with '/', in order; and what is passed over: how many of each kind."""

    names: list[str]
    passed: Counter[str]


def is_hidden(name: str, folder: bool = False) -> bool:
    """Whether a file or folder of this name is hidden, or was left by the system: ``._x.jpg``, ``__MACOSX``."""
    return name.startswith(('.', '__') if folder else '.') or name.lower() in _SYSTEMS


def list_files(folder: str, below: bool, wanted: Callable[[str], bool] = is_image) -> Listing:
    """The files of a folder that are wanted, and what else is there.

    Args:
        folder: Where to look.
        below: Whether sub-folders are looked into. Linked ones are not, they may lead in a circle.
        wanted: Says so of a name. Defaults to pictures.

    Raises:
        OSError: The folder or one in it cannot be listed.
    """
    names: list[str] = []
    passed: Counter[str] = Counter()
    waiting = ['']
    while waiting:
        parent = waiting.pop()
        with os.scandir(os.path.join(folder, parent)) as entries:
            for entry in entries:
                if _is_folder(entry):
                    if is_hidden(entry.name, folder=True):
                        passed[HIDDEN_FOLDER] += 1
                    elif not below:
                        passed[SUB_FOLDER] += 1
                    elif entry.is_symlink():
                        passed[LINKED_FOLDER] += 1
                    else:
                        waiting.append(f'{parent}{entry.name}/')
                elif is_hidden(entry.name):
                    passed[HIDDEN] += 1
                elif wanted(entry.name):
                    names.append(f'{parent}{entry.name}')
                else:
                    passed[kind_of(entry.name)] += 1
    return Listing(sorted(names), passed)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: whoever opens it says so
        return False


def kind_of(name: str) -> str:
    """What a file is counted as: its ending in small letters."""
    return os.path.splitext(name)[1].lower() or 'without an ending'


def passed_over(folder: str | os.PathLike[str], passed: Counter[str]) -> str:
    """``7 files of data/x are passed over: 4 .heic, 2 .gif, 1 hidden (...)``; '' where there is nothing."""
    passed = +passed  # without zeros
    count = passed.total()
    if not count:
        return ''
    folders = sum(number for kind, number in passed.items() if kind.endswith('folder'))
    many = count > 1
    what = ' and '.join(
        f'{name}{"s" * many}' for name, number in (('file', count - folders), ('folder', folders)) if number
    )
    kinds = ', '.join(
        f'{number:,} {kind}{"s" * (kind.endswith("folder") and number > 1)}'
        for kind, number in sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    )
    return f'{count:,} {what} of {folder} {"are" if many else "is"} passed over: {kinds}{_cures(passed)}'


def _cures(passed: Iterable[str]) -> str:
    kinds = set(passed)
    cures = [
        *(['convert pictures to .jpg or .png'] if kinds & OTHER_PICTURES else []),
        *(['what lies in sub-folders must be moved up'] if SUB_FOLDER in kinds else []),
        *(['folders themselves are looked into, links to folders are not'] if LINKED_FOLDER in kinds else []),
    ]
    return f' ({"; ".join(cures)})' if cures else ''


def say_passed_over(folder: str | os.PathLike[str], passed: Counter[str], whose: str = '') -> None:
    """Says on the terminal and in the log what is passed over, if anything.

    Args:
        folder: Where it lies.
        passed: How many of each kind.
        whose: The dataset that reads the folder, if one does.
    """
    if sentence := passed_over(folder, passed):
        print_log(f'{whose}: {sentence}' if whose else sentence, logger='current')
