"""What is wrong where a registry does not know a part, or cannot be read."""

from __future__ import annotations

import re
import traceback

from mmengine import registry as mmengine_registry
from mmengine.registry import DefaultScope, Registry

from mmfer import registry as mmfer_registry
from mmfer.structures.naming import closest, did_you_mean

UNKNOWN_PART = re.compile(r'^(\S+) is not in the (?:\S+::)?(.+?) registry\.')


def missing_location(error: ImportError) -> str | None:
    """What is wrong with the `locations` of a registry, if one of them is not there."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        registry, place = frame.f_locals.get('self'), frame.f_locals.get('loc')
        if frame.f_code.co_name == 'import_from_location' and isinstance(registry, Registry) and error.name == place:
            return (
                f'the registry {registry.name!r} of {registry.scope} has {place!r} among its locations, and there is '
                f'no such module: correct it where {registry.scope} makes its registries ({registry.scope}/registry.py)'
            )
    return None


def unknown_part(name: str, kind: str) -> str:
    """What to say of a type that no registry of a kind has, with the nearest that one has."""
    roots = [
        root
        for module in (mmengine_registry, mmfer_registry)
        for root in vars(module).values()
        if isinstance(root, Registry)
        and root.parent is None
        and kind in {root.name, *(child.name for child in root.children.values())}
    ]
    known: set[str] = set()
    for root in roots:
        known |= set(root.module_dict)
        for scope, child in root.children.items():
            child.import_from_location()
            current = DefaultScope.get_current_instance()
            plain = scope == (current.scope_name if current else 'mmpretrain')
            known |= {module if plain else f'{scope}.{module}' for module in child.module_dict}
    tails = {full.split('.')[-1]: full for full in known}  # perhaps only the scope is missing or wrong
    tail = closest(name.split('.')[-1], tails, alike=0.8)
    hint = did_you_mean(name, known) or (f'; did you mean {tails[tail]}?' if tail else '')
    return f'type={name!r} is no known {kind}{hint or "; is the package that registers it installed?"}'
