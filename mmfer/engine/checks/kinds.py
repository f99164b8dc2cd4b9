"""Settings that are of another kind than the part takes: a text for a number, a number for a list, and the like."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from torch import Tensor

from mmfer.engine.checks.config_parts import ConfigPart, parameters
from mmfer.structures.ranges import check_range

_WORDS = {bool: 'True or False', int: 'a whole number', float: 'a number', list: 'a list', dict: 'a dict'}


def check_kinds(parts: Iterable[ConfigPart]) -> None:
    """Every setting of every part is of a kind that its signature allows, by annotation or by default.

    Only what is sure to be wrong is refused: what is annotated otherwise, or not at all, is for the part to check.

    Args:
        parts: Those of a config.

    Raises:
        ValueError: One is not: a text or NaN where a number is needed, 1.5 where something is counted, a text for True
            and False, a list for a text, a text or a number for a dict or a list.
    """
    for part in parts:
        if part.kind is None:
            continue
        hints = _hints(part.kind)
        for name, parameter in parameters(part.kind)[0].items():
            value = part.settings.get(name)
            if value is not None and not isinstance(value, Mapping):
                _check(f'{part.place}.{name}', value, hints.get(name), parameter.default)


def _check(place: str, value: Any, hint: Any, default: Any) -> None:
    allowed = _alternatives(hint) or _kinds_of_default(default)
    if not allowed:
        return
    if allowed == {str}:
        if isinstance(value, list | tuple | int | float):
            quotes = f': on the command line one with commas stands in quotes, "{place}=\'a,b\'"'
            raise ValueError(f'{place} must be a text, got {value!r}{quotes if isinstance(value, list) else ""}')
    elif (allowed <= {list, dict} and not (list in allowed and isinstance(value, list | tuple))) or (
        isinstance(value, str) and str not in allowed
    ):
        _refuse(place, value, allowed)
    numbers = _inside(hint) or _kinds_of_default(default)
    if numbers and numbers <= {int, float} and not isinstance(value, bool):
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, str) or (isinstance(item, Real) and not math.isfinite(item)):
                check_range(place, item, whole=float not in numbers)
            elif numbers == {int} and isinstance(item, float):
                check_range(place, item, whole=True)


def _refuse(place: str, value: Any, allowed: set[type]) -> None:
    words = [word for kind, word in _WORDS.items() if kind in allowed and not (kind is int and float in allowed)]
    raise ValueError(f'{place} must be {" or ".join(words)}, got {value!r}')


def _alternatives(hint: Any) -> set[type]:
    """What an annotation allows, as bool, int, float, str, list and dict; empty where it allows other things, too."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        found = [_alternatives(one) for one in typing.get_args(hint) if one not in (type(None), Tensor)]
        return set().union(*found) if all(found) else set()
    kind = typing.get_origin(hint) or hint
    if not inspect.isclass(kind):
        return set()
    if kind in (bool, int, float):
        return {kind}
    if issubclass(kind, str | Path):
        return {str}
    if issubclass(kind, Mapping):
        return {dict}
    return {list} if issubclass(kind, Iterable) and not issubclass(kind, Tensor) else set()


def _inside(hint: Any) -> set[type]:
    """The types in an annotation, those within lists and tuples, too; without None and tensors."""
    arguments = typing.get_args(hint)
    if arguments:
        return {kind for argument in arguments for kind in _inside(argument)}
    if hint in (None, type(None), Ellipsis, Tensor):
        return set()
    return {hint if inspect.isclass(hint) else object}


def _kinds_of_default(default: Any) -> set[type]:
    """Likewise of a parameter without an annotation: a number may become any, and a list."""
    items = list(default) if isinstance(default, list | tuple) else [default]
    kinds = {type(item) for item in items}
    if kinds == {bool} and items == [default]:
        return {bool}
    return {float} if items and kinds <= {int, float} else set()


def _hints(kind: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of what a part takes, also of the classes that it inherits; none where they cannot be read."""
    found: dict[str, Any] = {}
    for owner in inspect.getmro(kind)[:-1] if inspect.isclass(kind) else [kind]:
        function = vars(owner).get('__init__') if inspect.isclass(owner) else owner
        if inspect.isfunction(function):
            try:
                found = typing.get_type_hints(function) | found
            except (NameError, TypeError, AttributeError):  # names that are imported for type checkers only
                continue
    return found
