"""Keys of a config that nothing reads because they are misspelt, and groups of settings that are none."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    HOOKS,
    METRICS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
    Registry,
)
from torch.nn.utils import clip_grad

from mmfer.datasets.transforms.pipeline_trial import WHOLE_PIPELINE
from mmfer.engine.checks.config_parts import ConfigPart, parameters, unknown_parameter
from mmfer.structures.naming import did_you_mean

MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
"""What MMEngine's runner adds by itself to `default_hooks`."""
_GROUPS = (
    *('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg'),
    *('test_cfg', 'optim_wrapper', 'default_hooks', 'env_cfg', 'randomness', 'visualizer', 'auto_scale_lr'),
)
"""Keys whose value is a dict of settings."""
_READ: dict[str, tuple[str, ...]] = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
}
"""What MMEngine reads of groups whose other keys it passes over."""
_TAKEN_OUT: dict[Registry, tuple[str, ...]] = {
    **dict.fromkeys([DATASETS, DATA_SAMPLERS, METRICS, OPTIMIZERS, TRANSFORMS, VISBACKENDS, VISUALIZERS], ()),
    HOOKS: ('priority',),
    PARAM_SCHEDULERS: ('convert_to_iter_based',),
}
"""Registries whose parts MMEngine builds late, when faces have been read; with what it takes out before."""
_CLIPPING: dict[str, Callable[..., Any]] = {'norm': clip_grad.clip_grad_norm_, 'value': clip_grad.clip_grad_value_}


def check_groups(cfg: Config) -> None:
    """What is a dict of settings is one, and MMEngine reads every key of those that it takes single keys from.

    Raises:
        ValueError: It is another thing, or a key is misspelt.
    """
    for key in _GROUPS:
        _check_is_dict(cfg.get(key), key)
    for key in ('backbone', 'head'):
        _check_is_dict((cfg.get('model') or {}).get(key), f'model.{key}')
    if 'backbone' in (cfg.get('model') or {}) and cfg.model.backbone is None:
        raise ValueError('model.backbone is None: a network needs one')
    for key in ('optimizer', 'clip_grad', 'paramwise_cfg'):
        _check_is_dict((cfg.get('optim_wrapper') or {}).get(key), f'optim_wrapper.{key}')
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(key) or {}
        _check_is_dict(loader.get('dataset'), f'{key}.dataset')
        if 'dataset' in loader and loader['dataset'] is None:
            raise ValueError(f'{key}.dataset is None: a loader needs one')
    for key, known in _READ.items():
        check_known(cfg.get(key) or {}, known, key)
    clipping = (cfg.get('optim_wrapper') or {}).get('clip_grad') or {}
    if (how := _CLIPPING.get(clipping.get('type', 'norm'))) is not None:
        taken = ('type', *list(inspect.signature(how).parameters)[1:])
        check_known(clipping, taken, 'optim_wrapper.clip_grad')
    scope = cfg.get('default_scope') or 'mmpretrain'
    if importlib.util.find_spec(scope) is None:
        raise ValueError(f'default_scope={scope!r}: no package {scope} is installed; most configs have mmpretrain')
    _check_hooks(cfg.get('default_hooks') or {})
    _check_are_dicts(cfg.get('custom_hooks'), 'custom_hooks')
    _check_are_dicts((cfg.get('visualizer') or {}).get('vis_backends'), 'visualizer.vis_backends')


def check_parts(parts: Iterable[ConfigPart]) -> None:
    """The packages of all parts are installed, and a part that takes settings of any name is given none misspelt.

    Raises:
        ValueError: One is not, or is.
        KeyError: An optimizer or function is not known, in MMEngine's words, which it lacks for these.
    """
    for part in parts:
        kind = part.settings['type']
        if part.kind is None:
            package = kind.split('.')[0] if isinstance(kind, str) and '.' in kind else None
            if package and importlib.util.find_spec(package) is None:
                raise ValueError(
                    f'{part.place}.type={kind!r}: no package {package} is installed: install it where this Python '
                    'finds it, as pip install -e FOLDER does, or correct the name'
                )
            if part.registry in (OPTIMIZERS, FUNCTIONS):
                raise KeyError(f'{kind} is not in the {part.registry.name} registry.')
            continue
        _check_parameters(part)
        if 'pipeline' in part.settings and part.settings['pipeline'] is None:
            raise ValueError(f'{part.place}.pipeline is None: faces are read by {WHOLE_PIPELINE}')
        _check_are_dicts(part.settings.get('pipeline'), f'{part.place}.pipeline')


def check_known(given: Iterable[str], known: Iterable[str], place: str) -> None:
    """Every key is among those that are read.

    Raises:
        ValueError: One is not.
    """
    for name in given:
        if name not in known:
            near = did_you_mean(name, known, "'")
            raise ValueError(f'{place} has no setting {name!r}{near} (it takes {", ".join(known)})')


def _check_parameters(part: ConfigPart) -> None:
    """Each setting is one that the part takes; a part that takes any is given none that is nearly one of its own."""
    if part.kind is None:
        return
    known, takes_any = parameters(part.kind)
    for name in part.settings:
        if name in ('type', '_scope_', *known, *_TAKEN_OUT.get(part.registry, ())):
            continue
        near = did_you_mean(name, known, alike=0.8)
        if near if takes_any else part.registry in _TAKEN_OUT:
            raise ValueError(f'{part.place}: {unknown_parameter(part.kind, name)}')


def _check_hooks(hooks: Mapping[str, Any]) -> None:
    """A hook that has no type was to be another: MMEngine's own have theirs in the config, too."""
    whole = [name for name, hook in hooks.items() if not isinstance(hook, Mapping) or 'type' in hook]
    for name, hook in hooks.items():
        if hook is None or callable(hook):
            continue
        _check_is_dict(hook, f'default_hooks.{name}')
        if name not in whole:
            near = did_you_mean(name, {*whole, *MMENGINE_HOOKS} - {name})
            raise ValueError(f'default_hooks.{name} has no type, as every hook must{near}')


def _check_are_dicts(value: Any, place: str) -> None:
    """A list of parts: on the command line names alone are texts."""
    items = value if isinstance(value, list | tuple) else [value]
    name = next((item for item in items if isinstance(item, str)), None)
    if name is not None or (value is not None and not isinstance(value, list | tuple)):
        cure = ', '.join(f'dict(type={item})' if isinstance(item, str) else 'dict(...)' for item in items)
        raise ValueError(f'{place} must be a list of dicts, got {value!r}: on the command line "{place}=[{cure}]"')
    for i, item in enumerate(items):
        if isinstance(item, Mapping) and 'type' not in item:
            raise ValueError(f'{place}.{i} has no type, as every part must: got {dict(item)}')


def _check_is_dict(value: Any, place: str) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(
            f'{place} must be a dict of settings, got {value!r}: set one of them by its own key, {place}.KEY=VALUE'
        )
