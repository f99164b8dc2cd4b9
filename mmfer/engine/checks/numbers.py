"""Settings that are no numbers or texts where these are needed, or out of range: seen before anything is built."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfer.engine.checks.config_parts import ConfigPart, parameters
from mmfer.structures.ranges import check_range

_LARGEST_SEED = 2**32 - 1
_RANGES: dict[str, dict[str, Any]] = {
    'train_cfg.max_epochs': dict(least=1, whole=True),
    'train_cfg.max_iters': dict(least=1, whole=True),
    'train_cfg.val_interval': dict(least=1, whole=True),
    'train_cfg.val_begin': dict(least=0, whole=True),
    'optim_wrapper.accumulative_counts': dict(least=1, whole=True),
    'optim_wrapper.optimizer.lr': dict(least=0),
    'optim_wrapper.optimizer.weight_decay': dict(least=0),
    'optim_wrapper.optimizer.momentum': dict(least=0),
    'optim_wrapper.clip_grad.max_norm': dict(above=0),
    'optim_wrapper.clip_grad.clip_value': dict(above=0),
    'randomness.seed': dict(least=0, most=_LARGEST_SEED, whole=True),
    'default_hooks.logger.interval': dict(least=1, whole=True),
    'auto_scale_lr.base_batch_size': dict(least=1, whole=True),
}
"""Of numbers that MMEngine and torch read, by key; what mmfer reads is checked by who reads it."""
_OF_LOADERS: dict[str, dict[str, Any]] = {
    'batch_size': dict(least=1, whole=True),
    'num_workers': dict(least=0, whole=True, why='0 loads in the process that trains'),
    'prefetch_factor': dict(least=1, whole=True),
}
_MAY_BE_NONE = ('randomness.seed', 'prefetch_factor')
"""Where None has a meaning: a random seed, torch's own number."""


def check_numbers(cfg: Config, parts: Iterable[ConfigPart]) -> None:
    """Every number of a config is one: no text, not NaN, whole where it counts something, in its range.

    What a part takes for a number, a text or True and False its signature tells, by annotation or by default.

    Args:
        cfg: The config.
        parts: Those of the config.

    Raises:
        ValueError: One is not.
    """
    loaders = [key for key in cfg if key.endswith('_dataloader')]
    ranges = _RANGES | {f'{key}.{name}': bounds for key in loaders for name, bounds in _OF_LOADERS.items()}
    for place, bounds in ranges.items():
        found, value = _look_up(cfg, place)
        if found and not (value is None and place.endswith(_MAY_BE_NONE)):
            check_range(place, value, **bounds)
    for part in parts:
        if part.kind is None:
            continue
        hints = _hints(part.kind)
        for name, parameter in parameters(part.kind)[0].items():
            if name in part.settings and part.settings[name] is not None:
                _check(f'{part.place}.{name}', part.settings[name], parameter, hints.get(name))


def _check(place: str, value: Any, parameter: inspect.Parameter, hint: Any) -> None:
    kinds = _flat(hint)
    default = parameter.default
    if not kinds and default is not parameter.empty:  # without an annotation the default tells
        kinds = {type(item) for item in _items(default)} & {int, float, bool} if default not in (None, ()) else set()
        kinds |= {float} if int in kinds else set()
    if kinds and kinds <= {bool}:
        if isinstance(value, str):
            raise ValueError(f'{place} must be True or False, got {value!r}')
    elif kinds and kinds <= {str, Path}:
        if isinstance(value, list | tuple | int | float):
            raise ValueError(
                f'{place} must be a text, got {value!r}: on the command line one with commas stands in quotes, '
                f'"{place}=\'a,b\'"'
            )
    elif kinds and kinds <= {int, float, bool}:
        for item in _items(value):
            # A schedule, or whatever else a list may hold, is looked at by who reads it.
            if isinstance(item, str) or (isinstance(item, Real) and not math.isfinite(item)):
                check_range(place, item, whole=float not in kinds)
            elif kinds <= {int, bool} and isinstance(item, float):
                check_range(place, item, whole=True)


def _flat(hint: Any) -> set[type]:
    """The types that an annotation allows, those in tuples and sequences, too; without None and tensors."""
    arguments = typing.get_args(hint)
    if arguments:
        return {kind for argument in arguments for kind in _flat(argument)}
    if hint is None or hint is type(None) or hint is Ellipsis or getattr(hint, '__name__', '') == 'Tensor':
        return set()
    return {hint if isinstance(hint, type) else object}


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


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _look_up(cfg: Config, place: str) -> tuple[bool, Any]:
    value: Any = cfg
    for key in place.split('.'):
        if not isinstance(value, Mapping | Config) or key not in value:
            return False, None
        value = value[key]
    return True, value
