"""Numbers of classes, as programs write them."""

from __future__ import annotations

import re

_WHOLE = re.compile(r'([+-]?)0*([0-9]{1,9})(?:\.0*)?')
_MOST = 10**9
_MISSING = {'na', 'n/a', '#n/a', '#na', '<na>', 'null', 'none', 'nil', '-', '?'}


def whole_number(value: str | float) -> int | None:
    """3 for 3, '3', 3.0 and '3.0', as which pandas writes integers where some are missing; None for all else.

    Also for what has more than nine digits: no class, box or vote does, and an array of numbers cannot hold them all.
    """
    if isinstance(value, str):
        digits = _WHOLE.fullmatch(value.strip())
        return int(digits[1] + digits[2]) if digits else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST < value < _MOST:
        return None
    return int(value) if value == int(value) else None


def is_number(text: str) -> bool:
    """Whether a text is meant as a number: '3', '3.5', '3,5', '1e1', 'nan', 'inf'."""
    try:
        float(text.replace(',', '.'))
    except ValueError:
        return False
    return True


def stands_for_nothing(text: str) -> bool:
    """Whether a program writes this where a value is missing: 'nan', 'NA', 'None', ..."""
    return text.lower() in _MISSING or text.lower().lstrip('+-') == 'nan'
