"""Texts of others in pictures: names of files and classes, whatever is in them."""

from __future__ import annotations

NO_LETTER = '\ufffd'
"""What is drawn for a character that has no shape."""


def plain(text: str) -> str:
    r"""A text as matplotlib draws it to the letter.

    ``$`` begins no formula, and what is no character (a byte that is no UTF-8, a control character) becomes U+FFFD.
    Line ends stay.
    """
    text = ''.join(letter if letter.isprintable() or letter == '\n' else NO_LETTER for letter in str(text))
    return text.replace('$', r'\$')
