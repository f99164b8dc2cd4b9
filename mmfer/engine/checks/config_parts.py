"""The parts that a config names, before any of them is built, and what they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mmengine.config import Config
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    HOOKS,
    LOG_PROCESSORS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
    DefaultScope,
    Registry,
)

from mmfer.structures.naming import did_you_mean

TOP: dict[str, Registry] = {
    'model': MODELS,
    'data_preprocessor': MODELS,
    'optim_wrapper': OPTIM_WRAPPERS,
    'param_scheduler': PARAM_SCHEDULERS,
    'default_hooks': HOOKS,
    'custom_hooks': HOOKS,
    'val_evaluator': METRICS,
    'test_evaluator': METRICS,
    'visualizer': VISUALIZERS,
    'log_processor': LOG_PROCESSORS,
}
"""What is built of a config's keys."""
INSIDE: dict[str, Registry] = {
    'dataset': DATASETS,
    'datasets': DATASETS,
    'pipeline': TRANSFORMS,
    'transforms': TRANSFORMS,
    'sampler': DATA_SAMPLERS,
    'optimizer': OPTIMIZERS,
    'vis_backends': VISBACKENDS,
    'collate_fn': FUNCTIONS,
}
"""Likewise of keys further inside."""


@dataclass(frozen=True)
class ConfigPart:
    """A dict with a `type`.

    Args:
        place: Its key, such as 'train_dataloader.dataset'.
        settings: The dict.
        kind: The class or function that is called with it; None where no package that is here registers one.
        registry: Where it was looked for.
    """

    place: str
    settings: Mapping[str, Any]
    kind: Callable[..., Any] | None
    registry: Registry


def config_parts(cfg: Config) -> Iterator[ConfigPart]:
    """Every part of a config whose registry is known by its place, the outer ones first."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        for key in cfg:
            if key in TOP or key.endswith('_dataloader'):
                yield from _inside(key, cfg[key], TOP.get(key))


def look_up(cfg: Config, place: str) -> tuple[bool, Any]:
    """Whether a config has a dotted key, also through lists (`datasets.0`), and what stands there."""
    value: Any = cfg
    for key in place.split('.') if place else ():
        if isinstance(value, list | tuple) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, Mapping | Config) and key in value:
            value = value[key]
        else:
            return False, None
    return True, value


def parameters(kind: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """What a part takes, by name, also what it hands to the classes that it inherits; and whether it takes others, too.

    Args:
        kind: A class or a function.
    """
    found: dict[str, inspect.Parameter] = {}
    for owner in inspect.getmro(kind)[:-1] if inspect.isclass(kind) else [kind]:
        function = vars(owner).get('__init__') if inspect.isclass(owner) else owner
        if not inspect.isfunction(function):
            continue
        own = [p for p in inspect.signature(function).parameters.values() if p.name != 'self']
        named = {p.name: p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        found |= {name: parameter for name, parameter in named.items() if name not in found}
        if not any(p.kind == p.VAR_KEYWORD for p in own):  # nothing reaches the parents
            return found, False
    return found, True


def unknown_parameter(kind: Callable[..., Any], name: str) -> str:
    """The sentence that a part does not take a setting."""
    known = parameters(kind)[0]
    return f'{kind.__name__} has no parameter {name!r}{did_you_mean(name, known)} (it takes {", ".join(known)})'


def _inside(place: str, value: Any, registry: Registry | None) -> Iterator[ConfigPart]:
    if isinstance(value, Mapping):
        if registry is not None and 'type' in value:
            yield ConfigPart(place, value, _kind_of(value['type'], registry), registry)
        inner = {key: INSIDE.get(key, None if key == 'init_cfg' else registry) for key in value}
        items = [(key, value[key], inner[key]) for key in value]
    elif isinstance(value, list | tuple):
        items = [(str(i), item, registry) for i, item in enumerate(value)]
    else:
        return
    for key, item, of in items:
        yield from _inside(f'{place}.{key}', item, of)


def _kind_of(name: Any, registry: Registry) -> Callable[..., Any] | None:
    if not isinstance(name, str):
        return name if callable(name) else None
    scope = DefaultScope.get_current_instance().scope_name
    with suppress(ImportError):
        import_module(f'{scope}.registry')
    return registry.children.get(scope, registry).get(name)
