"""The config that a checkpoint carries, as data: none of it is run, and none of it names what is imported.

MMEngine keeps the config of a run as Python text in the checkpoint (`meta.cfg`). Whoever hands on a checkpoint writes
that text. So it is read as literals, and the types in it are looked up among parts that are registered already.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from mmengine.registry import Registry
from mmpretrain import registry as _mmpretrain  # noqa: F401  its registries: what has no scope in a config is theirs

from mmfer import registry as _mmfer  # noqa: F401  ours

SCOPES = ('mmengine', 'mmpretrain', 'mmcv', 'mmfer')
"""Packages whose parts a checkpoint may name; those of others need the user's own word."""

_NUMBERS = {'inf': math.inf, 'nan': math.nan}


def stored_config(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The config in a checkpoint as plain containers; {} where there is none, without keys that are no literals."""
    text = (checkpoint.get('meta') or {}).get('cfg')
    try:
        lines = ast.parse(text).body if isinstance(text, str) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for line in lines:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = _literal(line.value)
            except (ValueError, TypeError, RecursionError):
                continue
    return found


def _literal(node: ast.expr) -> Any:
    """A literal as MMEngine writes it: Python's own, `dict(a=1)`, inf and nan."""
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        return {_literal(key): _literal(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        made = dict(*(_literal(item) for item in node.args))
        return made | {word.arg: _literal(word.value) for word in node.keywords if word.arg}
    if isinstance(node, ast.Name) and node.id in _NUMBERS:
        return _NUMBERS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_literal(node.operand)
    return ast.literal_eval(node)


def find_part(registry: Registry, name: Any, scope: str = 'mmpretrain', allow: Collection[str] = ()) -> Any | None:
    """What a `type` of a stored config stands for, or None; unlike `Registry.get` it imports nothing for its sake.

    Args:
        registry: A registry of MMEngine's, such as `MODELS`.
        name: With or without a scope: 'mmfer.ARM', 'ResNet'.
        scope: Whose parts are meant where the name has none; after these MMEngine's own, where mmcv's are, too.
        allow: Packages besides `SCOPES` whose parts may be named: these are imported.
    """
    if not isinstance(name, str):
        return None
    owner, _, part = name.rpartition('.')
    for place in [owner] if owner else [scope, 'mmengine']:
        if place in allow:
            with suppress(ModuleNotFoundError):
                import_module(f'{place}.registry')
        child = registry if place == 'mmengine' else registry.children.get(place)
        if place in (*SCOPES, *allow) and child is not None:
            child.import_from_location()
            if part in child.module_dict:
                return child.module_dict[part]
    return None


def other_package(name: Any, allow: Collection[str] = ()) -> str:
    """The package that a `type` of a stored config is a part of, where it is none that may be asked; else ''."""
    package = name.rpartition('.')[0].split('.')[0] if isinstance(name, str) else ''
    return package if package not in (*SCOPES, *allow) else ''
