"""Names of files as they are compared: one file may be called in several ways."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Sequence

_MARKS = ('./', '//', '\\')


def normal_name(name: str) -> str:
    r"""What a name is compared by: ``./a.jpg`` is ``a.jpg``, ``x//a.jpg`` and ``x\a.jpg`` are ``x/a.jpg``.

    Letters with accents are one character each (Unicode's NFC): archives made on a Mac have them in two.
    """
    if any(mark in name for mark in _MARKS):
        name = posixpath.normpath(name.replace('\\', '/'))
    return name if name.isascii() else unicodedata.normalize('NFC', name)


def normal_names(names: Sequence[str]) -> Sequence[str]:
    """:func:`normal_name` of each; the very same list where that changes none, which takes hardly any time."""
    text = '\n'.join(names)
    if text.isascii() and not any(mark in text for mark in _MARKS):
        return names
    return [normal_name(name) for name in names]


def is_line(name: str) -> bool:
    """Whether a name comes back from a line of a text file: it has no line end, and no byte that is no UTF-8."""
    utf8 = name.isascii() or not any('\ud800' <= letter <= '\udfff' for letter in name)
    return utf8 and len(name.splitlines()) == 1


def first_other(these: Sequence[str], those: Sequence[str]) -> int | None:
    """The first position at which two lists of equal length have names of different files."""
    pairs = zip(normal_names(these), normal_names(those), strict=True)
    return next((row for row, (one, other) in enumerate(pairs) if one != other), None)
