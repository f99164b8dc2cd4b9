"""Texts of others in pictures: names of files and classes, whatever is in them."""

from __future__ import annotations

from mmfer.structures.printable import printable


def plain(text: str) -> str:
    r"""A text as matplotlib draws it to the letter: ``$`` begins no formula, and escapes are shown as on the terminal.

    Line ends stay.
    """
    return printable(str(text).replace('\t', ' ')).replace('$', r'\$')
