"""Numbers and flags that MMEngine and torch read, out of range or none at all: seen before anything is built."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.config import Config

from mmfer.engine.checks.config_parts import look_up
from mmfer.structures.naming import did_you_mean
from mmfer.structures.ranges import check_range

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
    'randomness.seed': dict(least=0, most=2**32 - 1, whole=True),
    'default_hooks.logger.interval': dict(least=1, whole=True),
    'auto_scale_lr.base_batch_size': dict(least=1, whole=True),
}
_RANGES_OF_LOADERS: dict[str, dict[str, Any]] = {
    'batch_size': dict(least=1, whole=True),
    'num_workers': dict(least=0, whole=True, why='0 loads in the process that trains'),
    'prefetch_factor': dict(least=1, whole=True),
    'timeout': dict(least=0, why='it is in seconds, and 0 waits for ever'),
}
_MAY_BE_NONE = ('randomness.seed', 'prefetch_factor')
"""Where None has a meaning: a random seed, torch's own number."""
_FLAGS = (
    *('resume', 'find_unused_parameters', 'train_cfg.by_epoch', 'auto_scale_lr.enable'),
    *('randomness.deterministic', 'randomness.diff_rank_seed', 'env_cfg.cudnn_benchmark'),
)
_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
_FLAGS_OF_LOADERS = ('drop_last', 'pin_memory', 'persistent_workers')


def check_numbers(cfg: Config) -> None:
    """What is set by a key of the config itself is in its range; what a part takes is seen by `check_kinds`.

    Raises:
        ValueError: A number is none or out of its range, a flag is a text, or `log_level` is no level.
    """
    loaders = [key for key in cfg if key.endswith('_dataloader')]
    ranges = _RANGES | {f'{key}.{name}': bounds for key in loaders for name, bounds in _RANGES_OF_LOADERS.items()}
    for place, bounds in ranges.items():
        there, value = look_up(cfg, place)
        if there and not (value is None and place.endswith(_MAY_BE_NONE)):
            check_range(place, value, **bounds)
    if look_up(cfg, 'default_hooks.checkpoint.interval') == (True, 0):
        raise ValueError('default_hooks.checkpoint.interval must be at least 1, or -1 for no checkpoints, got 0')
    for place in (*_FLAGS, *(f'{key}.{name}' for key in loaders for name in _FLAGS_OF_LOADERS)):
        _, value = look_up(cfg, place)
        if isinstance(value, str) and (place, value) != ('resume', 'auto'):
            raise ValueError(f'{place} must be True or False, got {value!r}')
    if (cfg.get('auto_scale_lr') or {}).get('enable') and cfg.auto_scale_lr.get('base_batch_size') is None:
        raise ValueError(
            'auto_scale_lr.enable needs auto_scale_lr.base_batch_size: the batch that the rate is meant for'
        )
    level = cfg.get('log_level')
    if isinstance(level, str) and not isinstance(logging.getLevelName(level), int):  # it gives names for numbers, too
        near = did_you_mean(level, _LEVELS)
        raise ValueError(f'log_level={level!r} is no level{near} (there are {", ".join(_LEVELS)})')
