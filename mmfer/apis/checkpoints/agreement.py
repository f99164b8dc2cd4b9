"""Whether a config and a checkpoint are of one network: what would change its predictions without a word is refused."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, DefaultScope, Registry

from mmfer.apis.checkpoints.stored_config import find_part, stored_config
from mmfer.apis.config import as_typed
from mmfer.apis.dataset_configs import dataset_configs
from mmfer.datasets import FaceDataset
from mmfer.datasets.labels.schema import differs_from, is_same_order

FORCE = 'go on where the config differs from what the checkpoint was trained with; classes are mapped by name'
"""What `--force` means, for the tools."""

_PREPROCESSOR = ('augment', 'augment_normalized', 'batch_augments', 'non_blocking', 'num_classes', 'to_onehot')
_NETWORK = ('init_cfg', 'pretrained', 'loss', 'norm_eval', 'frozen_stages', 'with_cp', 'zero_init_residual', 'topk')
_LAYERS = ('requires_grad', 'momentum', 'drop_rate', 'drop_path_rate', 'cal_acc', 'num_classes')
TRAINING_ONLY = frozenset((*_PREPROCESSOR, *_NETWORK, *_LAYERS))
"""Parameters of preprocessors and networks that change nothing about the predictions of given weights.

A wrong `num_classes` does not fit the weights, which is said where they are loaded.
"""

READING = frozenset({'backend_args', 'file_client_args', 'meta_keys', 'to_float32'})
"""Parameters of transforms that do not change the picture."""


def check_agreement(
    cfg: Config, checkpoint: Mapping[str, Any], source: str | Path, split: str = 'test', force: bool = False
) -> None:
    """A config prepares faces, lays out the network and counts classes as the checkpoint's training did.

    Input size, mean, std, to_rgb, the transforms of the faces, the classes and their order, and parameters of backbone,
    neck and head that no weight shows. Other faces are no contradiction: on another dataset pictures may be read at
    another size.

    Args:
        cfg: The config. With `force` its dataset is told to map classes by name.
        checkpoint: What `read_checkpoint` returns.
        source: The file, for messages.
        split: Whose dataset of the config is used.
        force: Whether to warn of a difference instead of raising.

    Raises:
        ValueError: Something differs; all of it is named.
    """
    stored = {key: value for key, value in stored_config(checkpoint).items() if isinstance(value, dict)}
    name = as_typed(cfg.filename) if cfg.filename else '--cfg-options'
    faults = list(_differences(cfg, stored, split)) if 'model' in stored else []
    trained = trained_classes(checkpoint)
    cures = ['name the config and the --cfg-options that it was trained with']
    if split == 'test':
        cures.append('no config, as the checkpoint carries its own')
    for key, settings in dataset_configs(cfg, [split]) if trained else ():
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
            classes = _declared_classes(settings)
        if classes is not None and not is_same_order(trained, classes):
            what, cure = differs_from(trained, classes, key)
            faults.append(what)
            cures.append(cure)
        if force and not (classes and is_same_order(trained, classes)):
            settings['metainfo'] = {**(settings.get('metainfo') or {}), 'classes': list(trained)}
    if faults:
        text = f'{name} differs from what {source} was trained with: {"; ".join(faults)}'
        if not force:
            raise ValueError(f'{text}: {", or ".join(cures)}, or go on all the same with --force')
        print_log(f'{text}; going on because of --force', logger='current', level=logging.WARNING)
    elif 'model' not in stored:
        print_log(
            f'{source} does not carry the config of its training: that {name} prepares faces as that did is taken on '
            'trust',
            logger='current',
            level=logging.WARNING,
        )


def trained_classes(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the classes in the order of the network's scores, where the checkpoint has them."""
    names = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def _differences(cfg: Config, stored: Mapping[str, Any], split: str) -> Iterator[str]:
    here = cfg.to_dict()
    yield from _differ(_preprocessor(stored), _preprocessor(here), 'data_preprocessor', MODELS, TRAINING_ONLY)
    for key in ('backbone', 'neck', 'head'):
        there, own = stored['model'].get(key), (here.get('model') or {}).get(key)
        if isinstance(there, dict) and isinstance(own, dict):
            yield from _differ(there, own, f'model.{key}', MODELS, TRAINING_ONLY)
    for key, settings in dataset_configs(cfg, [split]):
        yield from _reading_differs(settings.to_dict() if hasattr(settings, 'to_dict') else dict(settings), stored, key)


def _preprocessor(cfg: Mapping[str, Any]) -> dict[str, Any]:
    found = (cfg.get('model') or {}).get('data_preprocessor') or cfg.get('data_preprocessor')
    return {'type': 'ClsDataPreprocessor', **(found if isinstance(found, Mapping) else {})}


def _reading_differs(settings: Mapping[str, Any], stored: Mapping[str, Any], key: str) -> Iterator[str]:
    """How a dataset reads its faces, compared with how training read those of this dataset, or else of any."""
    known = [found for _, found in dataset_configs(stored, ('val', 'test', 'train')) if 'pipeline' in found]
    # Of faces that are of no dataset, as those of predictions, only how they are prepared is known.
    same = [found for found in known if settings.get('type') in (None, found.get('type'))]
    candidates = [
        list(_steps_differ(found, settings, key, whole=bool(same))) for found in same or known if 'pipeline' in settings
    ]
    if candidates and all(candidates):
        yield from candidates[0]


def _steps_differ(there: Mapping[str, Any], here: Mapping[str, Any], key: str, whole: bool) -> Iterator[str]:
    steps = [
        [step for step in settings['pipeline'] if isinstance(step, Mapping) and step.get('type') != 'LoadImageFromFile']
        for settings in (there, here)
    ]
    types = [[str(step.get('type')) for step in own] for own in steps]
    if types[0] != types[1]:
        yield f'{key}.pipeline is {", ".join(types[1])} and was {", ".join(types[0])}'
        return
    left_out = READING if whole else READING | {'size'}
    for i, (was, now) in enumerate(zip(*steps, strict=True)):
        yield from _differ(was, now, f'{key}.pipeline.{i}', TRANSFORMS, left_out)
    if whole:  # a dataset that draws its faces
        default = _defaults(find_part(DATASETS, there.get('type'))).get('size')
        was, now = (settings.get('size', default) for settings in (there, here))
        if 'type' in here and was != now:
            yield f'{key}.size is {now} and was {was}'


def _differ(
    there: Mapping[str, Any], here: Mapping[str, Any], key: str, registry: Registry, left_out: frozenset[str]
) -> Iterator[str]:
    """Parameters that differ between two configs of a part, defaults filled in."""
    parts = [find_part(registry, own.get('type')) for own in (there, here)]
    related = all(map(inspect.isclass, parts)) and (issubclass(parts[0], parts[1]) or issubclass(parts[1], parts[0]))
    if there.get('type') != here.get('type') and not related:
        yield f'{key}.type is {here.get("type")} and was {there.get("type")}'
        return
    was, now = ({**_defaults(part), **own} for part, own in zip(parts, (there, here), strict=True))
    for name in sorted({*was, *now} - left_out - {'type'}):
        if name in was and name in now and _plain(was[name], left_out) != _plain(now[name], left_out):
            yield f'{key}.{name} is {now[name]!r} and was {was[name]!r}'
        elif (name in there and name not in now) or (name in here and name not in was):
            yield f'{key}.{name} is {now.get(name, "not set")!r} and was {was.get(name, "not set")!r}'


def _plain(value: Any, left_out: frozenset[str]) -> Any:
    """A value in the form that equal ones share: 112, [112, 112] and (112, 112) are one size."""
    if isinstance(value, Mapping):
        return {key: _plain(item, left_out) for key, item in value.items() if key not in left_out}
    if isinstance(value, list | tuple):
        items = [_plain(item, left_out) for item in value]
        return items[0] if len(items) == 2 and items[0] == items[1] else items
    return value


def _defaults(part: Any) -> dict[str, Any]:
    """The default values of a class's parameters, parents' included."""
    found: dict[str, Any] = {}
    for owner in reversed(inspect.getmro(part)[:-1]) if inspect.isclass(part) else ():
        if inspect.isfunction(vars(owner).get('__init__')):
            parameters = inspect.signature(owner.__init__).parameters.values()
            found |= {p.name: p.default for p in parameters if p.default is not p.empty}
    return found


def _declared_classes(settings: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The classes of a dataset, where they can be told before its files are read."""
    part = DATASETS.get(settings['type']) if 'type' in settings else None
    if not (inspect.isclass(part) and issubclass(part, FaceDataset)):
        return None
    classes = DATASETS.build({**settings, 'lazy_init': True}).metainfo.get('classes')
    return tuple(classes) if classes else None
