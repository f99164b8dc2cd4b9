"""Reading what people have on disk, and saying plainly what is wrong with it."""
from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Row = TypeVar('Row')
_SHOWN_LINES = 10
_SHOWN_NAMES = 3


def read_lines(path: str) -> list[str]:
    """The lines of a text file without line ends, whatever the editor: byte-order marks, UTF-16, CRLF."""
    with open(path, 'rb') as stream:
        data = stream.read()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode('utf-16' if wide else 'utf-8-sig', errors='replace').splitlines()


def parse_lines(path: str, parse: Callable[[str], Row], expected: str) -> list[Row]:
    """Parses every line that is not blank, and names all that cannot be parsed at once.

    Args:
        path: The text file.
        parse: Makes a row of a line; raises ValueError where it cannot.
        expected: What a line should look like, for the message.

    Raises:
        ValueError: Some line cannot be parsed. The message has file, number and text of the first ten.
    """
    rows, bad = [], []
    for number, line in enumerate(read_lines(path), 1):
        if line.strip():
            try:
                rows.append(parse(line))
            except ValueError as error:
                bad.append(f'\n  {path}:{number}: {line.strip()[:80]!r}' + (f' ({error})' if str(error) else ''))
    if bad:
        more = f'\n  ... and {len(bad) - _SHOWN_LINES} more' if len(bad) > _SHOWN_LINES else ''
        raise ValueError(f'{path} has {len(bad)} bad line{"s" * (len(bad) > 1)}; expected {expected}; '
                         f'correct or remove:{"".join(bad[:_SHOWN_LINES])}{more}')
    return rows


def name_a_few(names: Sequence[str]) -> str:
    """``a.jpg, b.jpg, c.jpg, ...``: the first three names."""
    return ', '.join(names[:_SHOWN_NAMES]) + (', ...' if len(names) > _SHOWN_NAMES else '')


def require_paths(dataset: str, root: str, paths: Sequence[str], how_to_get: str) -> None:
    """Raises FileNotFoundError, with the cure, unless all ``paths`` are in ``root``."""
    missing = [path for path in paths if not os.path.exists(os.path.join(root, path))]
    if missing:
        raise FileNotFoundError(
            f'{dataset} expects {" and ".join(missing)} in data_root={root!r}, which '
            f'{"lacks this" if os.path.isdir(root) else "does not exist"} ({os.path.abspath(root)}); {how_to_get}; '
            f'if you have it elsewhere, link it: ln -s /your/folder {root}')


def require_images(folder: str, names: Sequence[str], dataset: str) -> None:
    """Raises FileNotFoundError, with count, first names and cure, unless all ``names`` are in ``folder``."""
    missing = missing_files(folder, names)
    if missing:
        raise FileNotFoundError(
            f'{len(missing):,} of the {len(names):,} images that {dataset} lists are not in {folder}: '
            f'{name_a_few(missing)}; unpack the images again, or take their rows out of the label file')


def missing_files(folder: str, names: Iterable[str]) -> list[str]:
    """The names that are not files of ``folder``.

    Each folder is listed once. One ``stat`` a row would take minutes for 284k rows on a network disk.
    """
    listed: dict[str, set[str]] = {}
    missing = []
    for name in names:
        parent, base = os.path.split(name)
        if parent not in listed:
            place = os.path.join(folder, parent)
            listed[parent] = set(os.listdir(place)) if os.path.isdir(place) else set()
        if base not in listed[parent]:
            missing.append(name)
    return missing
