"""Texts that may be shown: names of files and classes come from others, and a terminal obeys what it is sent."""

from __future__ import annotations

import re

_OBEYED = (
    r'\x00-\x08\x0b-\x1f\x7f-\x9f'
    r'\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff'
)
"""Control characters but for tab and line feed, what turns the direction of writing, Unicode's own ends of lines, and
bytes that are no UTF-8."""
_IN_TEXTS, _IN_NAMES = re.compile(f'[{_OBEYED}]'), re.compile(f'[{_OBEYED}\\t\\n]')


def printable(text: str) -> str:
    r"""A text in which nothing is an order to the terminal: escape, as `\x1b`, is four letters; tabs and lines stay."""
    return text if text.isprintable() else _IN_TEXTS.sub(_escaped, text)


def printable_name(name: object) -> str:
    r"""Likewise of a name, which is one line: a line feed in it is `\n`."""
    text = str(name)
    return text if text.isprintable() else _IN_NAMES.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode('unicode_escape').decode()
