"""Numbers of classes, as programs write them."""

from __future__ import annotations

import re

_WHOLE = re.compile(r'[+-]?[0-9]+(\.0*)?')
_MISSING = {'na', 'n/a', '#n/a', '#na', '<na>', 'null', 'none', 'nil', '-', '?'}


def whole_number(value: str | float) -> int | None:
    """3 for 3, '3', 3.0 and '3.0', as which pandas writes integers where some are missing; None for all else."""
    if isinstance(value, str):
        text = value.strip()
        return int(text.partition('.')[0]) if _WHOLE.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if float(value).is_integer() else None


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
