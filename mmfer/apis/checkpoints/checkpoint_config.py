"""What is tested and predicted with where no config is named: the checkpoint's own."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, MODELS
from mmpretrain.models import ImageClassifier

from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.checkpoints.stored_config import SCOPES, find_part, stored_config
from mmfer.apis.checkpoints.stored_parts import NAME_THE_CONFIG, StoredParts
from mmfer.apis.config import lay_over, read_config
from mmfer.engine.checks.unused_settings import check_settings
from mmfer.structures.naming import closest

ALLOW = f'packages whose parts the checkpoint may name, besides those of {", ".join(SCOPES)}; they are imported'
"""What `--allow` means, for the tools."""

_SAME_SET = (
    *('num', 'indices', 'pipeline', 'size', 'packed', 'landmarks', 'metainfo', 'on_bad_image', 'cache_dir'),
    *('test_mode', 'lazy_init'),
)
"""Keys of a dataset that say how many of its faces are taken, how they are read and how classes are called."""


def checkpoint_config(
    checkpoint: Mapping[str, Any],
    source: str | Path,
    options: Mapping[str, Any] | None = None,
    allow: Collection[str] = (),
    data: bool = True,
) -> Config:
    """The config for testing that a checkpoint carries: its network, its preprocessing, its test data.

    Nothing that the checkpoint says is run, fetched or written, and of packages other than `SCOPES` nothing is
    imported: pretrained weights, `custom_imports`, hooks, evaluators, folders for caches and the like do nothing. The
    data are those that training evaluated, unless the config tests on another dataset or split.

    Args:
        checkpoint: What `read_checkpoint` returns.
        source: The file, for messages.
        options: Values by dotted key, as `--cfg-options` gives them; laid over the config, and trusted.
        allow: Packages whose parts may be named besides `SCOPES`.
        data: Whether to take the test data, too; otherwise only how faces are prepared, as training evaluated them.

    Returns:
        A config for testing.

    Raises:
        ValueError: It carries no config, one that names parts of another package, or one that names files.
    """
    stored = stored_config(checkpoint)
    loaders = {name: stored.get(f'{name}_dataloader') for name in ('val', 'test', 'train')}
    loaders = {name: loader for name, loader in loaders.items() if isinstance(loader, dict)}
    if not isinstance(stored.get('model'), dict) or not loaders:
        raise ValueError(
            f'{source} does not carry the config that it was trained with, as those of other programs and old exports '
            f'do not: {NAME_THE_CONFIG}'
        )
    reader = StoredParts(source, stored.get('default_scope') or 'mmpretrain', allow)
    kind = reader.part(MODELS, stored['model'], 'model')
    if not (inspect.isclass(kind) and issubclass(kind, ImageClassifier)):
        raise ValueError(f'{source} holds a {stored["model"]["type"]}, which is no ImageClassifier: {NAME_THE_CONFIG}')
    model = reader.network(stored['model'], 'model')
    preprocessor, validation = model.pop('data_preprocessor', None), stored.get('val_cfg')
    found = dict(
        default_scope=reader.scope,
        model=model,
        data_preprocessor=preprocessor or reader.network(stored.get('data_preprocessor') or {}, 'data_preprocessor'),
        test_evaluator=dict(type='mmfer.FERMetric'),
        test_cfg=dict(fp16=isinstance(validation, dict) and validation.get('fp16') is True),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0)),
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
    )
    if data:
        name = 'val' if evaluated_in_training(stored) else 'test'
        if name not in loaders:
            raise ValueError(f'the config in {source} has nothing to test on: {NAME_THE_CONFIG}')
        if name == 'test' and 'val' in loaders:
            print_log(f'{source} is tested on its test_dataloader; training evaluated other faces', logger='current')
        found['test_dataloader'] = reader.loader(loaders[name], f'{name}_dataloader')
    else:
        found['test_dataloader'] = dict(dataset=dict(pipeline=reader.pipeline(next(iter(loaders.values())))))
    for option in options or {}:
        top = option.split('.')[0]
        if top not in found:
            near = closest(top, found)
            hint = f'; did you mean {option.replace(top, near, 1)}?' if near else ''
            raise ValueError(f'--cfg-options {option}: the config in {source} is read for testing only{hint}')
    return lay_over(Config(found), options)


def config_of(
    config: str | Path | None,
    checkpoint: str | Path,
    options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
    allow: Collection[str] = (),
    data: bool = True,
) -> Config:
    """The config that is named, or the one in the checkpoint, which then works in the checkpoint's folder.

    Args:
        config: A file, or None.
        checkpoint: A file.
        options: As of `read_config`.
        work_dir: As of `read_config`.
        allow: As of `checkpoint_config`.
        data: As of `checkpoint_config`.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: As of `read_config`, `checkpoint_config` and `check_settings`; or packages are allowed that a config
            may name anyway.
    """
    if config is not None:
        if str(config).endswith(('.pth', '.pt')):
            raise ValueError(f'{config} is no config: give the config first, then the checkpoint')
        if allow:
            raise ValueError(
                f'--allow {" ".join(allow)} is for a checkpoint without a config: {config} is trusted as it is'
            )
        cfg = read_config(config, options, work_dir)
        check_settings(cfg)
        return cfg
    if str(checkpoint).endswith('.py'):
        raise ValueError(f'{checkpoint} is a config: name the checkpoint, too')
    cfg = checkpoint_config(read_checkpoint(checkpoint), checkpoint, options, allow, data)
    check_settings(cfg)
    cfg.work_dir = str(work_dir or Path(checkpoint).parent)
    return cfg


def evaluated_in_training(stored: Mapping[str, Any]) -> bool:
    """Whether the test data of a stored config are those that training evaluated, or it has no other."""
    loaders = (stored.get(f'{name}_dataloader') for name in ('val', 'test'))
    val, test = (loader.get('dataset') if isinstance(loader, dict) else None for loader in loaders)
    return val is not None and (test is None or _set_of(val) == _set_of(test))


def _set_of(dataset: Any) -> Any:
    """A dataset's settings without those that leave it the same set."""
    if isinstance(dataset, list):
        return [_set_of(part) for part in dataset]
    if not isinstance(dataset, dict):
        return dataset
    # A published set is the same wherever it lies; folders and tables of one's own are what lies there.
    published = 'classes' in getattr(find_part(DATASETS, dataset.get('type')), 'METAINFO', {})
    left_out = (*_SAME_SET, *(['data_root'] if published else []))
    return {key: _set_of(value) for key, value in dataset.items() if key not in left_out}
