"""Whether a supervision's config is made of methods, and these of parts: a misspelt name would be one more of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mmfer.structures.naming import did_you_mean

KINDS = ('branches', 'refiners', 'losses')


def check_methods(methods: Any) -> None:
    """Every method is a dict of taps and kinds of parts, every part one with a `type`, unless it is None.

    An option such as `model.supervision.lanett.losses.kl.loss_weight=.5` makes a method of half a part.

    Args:
        methods: The config of a supervision.

    Raises:
        ValueError: One is not; the nearest name that is there is named.
    """
    where = 'model.supervision'
    _check_is_dict(methods, where, 'methods')
    whole = [name for name, method in methods.items() if _is_whole(method)]
    for name, method in methods.items():
        if method is None:
            continue
        _check_is_dict(method, f'{where}.{name}', 'taps, branches, refiners and losses')
        if not _is_whole(method) and (near := did_you_mean(name, whole)):
            raise ValueError(f'{where}.{name}: the config has no such method{near}')
        for kind, parts in method.items():
            if kind not in ('taps', *KINDS):
                near = did_you_mean(kind, ('taps', *KINDS))
                raise ValueError(f'{where}.{name} takes taps, branches, refiners and losses, not "{kind}"{near}')
            if parts is not None:
                _check_parts(parts, f'{where}.{name}.{kind}')


def check_taps_are_read(method: str, taps: Collection[str], read: Collection[str]) -> None:
    """No tap is there because another was misspelt; one that a part which was taken out would read may stay.

    Args:
        method: Name of the method.
        taps: Names of its taps.
        read: Names that the parts of the supervision read.

    Raises:
        ValueError: Nothing reads a tap, and something reads one that is called nearly so.
    """
    for name in set(taps) - set(read):
        others = {other for other in set(taps) & set(read) if _letters(other) != _letters(name)}  # stage3 is not stage4
        if near := did_you_mean(name, others):
            raise ValueError(f'model.supervision.{method}.taps.{name}: no part reads such a tap{near}')


def _letters(name: str) -> str:
    return ''.join(sign for sign in name if not sign.isdigit())


def _check_parts(parts: Any, where: str) -> None:
    taps = where.endswith('.taps')
    _check_is_dict(parts, where, 'module paths by name' if taps else 'parts')
    if taps:
        for name, path in parts.items():
            if path is not None and not isinstance(path, str):
                raise ValueError(f'{where}.{name} must be the path of a module, such as backbone.layer1, got {path!r}')
        return
    whole = [name for name, part in parts.items() if isinstance(part, Mapping) and 'type' in part]
    for name, part in parts.items():
        if name in whole:
            _check_is_dict(part.get('inputs', {}), f'{where}.{name}.inputs', "names by parameter, as x='stage4'")
        if part is None or name in whole:
            continue
        if near := did_you_mean(name, whole):
            raise ValueError(f'{where}.{name}: the method has no such part{near}')
        _check_is_dict(part, f'{where}.{name}', 'a type and its settings')


def _is_whole(method: Any) -> bool:
    """Whether some part of it could be built."""
    kinds = [method.get(kind) for kind in KINDS] if isinstance(method, Mapping) else []
    parts = [part for kind in kinds if isinstance(kind, Mapping) for part in kind.values()]
    return any(isinstance(part, Mapping) and 'type' in part for part in parts)


def _check_is_dict(value: Any, where: str, of: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f'{where} must be a dict of {of}, got {value!r}')
