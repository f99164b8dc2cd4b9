"""The known name that is nearest to one that is misspelt."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """The nearest of the known names; None where none is near.

    Args:
        name: As it was written.
        known: Names that would be right.
        alike: How near a name must be, from 0 (any is) to 1 (the same).
    """
    return next(iter(get_close_matches(name, set(known), n=1, cutoff=alike)), None)


def did_you_mean(name: str, known: Iterable[str], quote: str = '', alike: float = 0.6) -> str:
    """The end of a sentence: `'; did you mean X?'`, or nothing where no known name is near.

    Args:
        name: As of `closest`.
        known: Likewise.
        quote: What stands around the name.
        alike: As of `closest`.
    """
    near = closest(name, known, alike)
    return f'; did you mean {quote}{near}{quote}?' if near else ''
