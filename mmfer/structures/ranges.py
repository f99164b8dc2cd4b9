"""Settings that are numbers in a range, refused in one sentence where they are not."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def check_range(
    name: str,
    value: Any,
    least: float | None = None,
    most: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    whole: bool = False,
    why: str = '',
) -> None:
    """A setting lies in its range.

    Args:
        name: Of the setting, as in the config.
        value: What the config says.
        least: Smallest value; `above` is one that is too small by a hair.
        most: Largest value; `below` is one that is too large by a hair.
        above: See `least`.
        below: See `most`.
        whole: Whether it must be a whole number.
        why: What would be wrong with others.

    Raises:
        ValueError: It is no number, or not in the range.
    """
    number = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    fits = math.isfinite(number)
    if fits:
        fits = (
            (least is None or number >= least)
            and (above is None or number > above)
            and (most is None or number <= most)
            and (below is None or number < below)
            and (not whole or number == int(number))
        )
    if not fits:
        kind = 'a whole number' if whole else 'a number'
        named = ('at least', least), ('above', above), ('at most', most), ('below', below)
        bounds = ' and '.join(f'{word} {bound:.10g}' for word, bound in named if bound is not None)
        kind = f'{kind}, {bounds}' if bounds else kind
        raise ValueError(f'{name} must be {kind}, got {value!r}{f": {why}" if why else ""}')
