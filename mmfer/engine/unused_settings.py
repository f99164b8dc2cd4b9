"""Settings of a config that MMEngine would pass over without a word."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import OPTIMIZERS
from torch import nn

from mmfer.structures.naming import did_you_mean
from mmfer.structures.ranges import check_range

PARAMWISE = (
    'custom_keys',
    'bias_lr_mult',
    'bias_decay_mult',
    'norm_decay_mult',
    'dwconv_decay_mult',
    'flat_decay_mult',
    'dcn_offset_lr_mult',
    'bypass_duplicate',
)
"""What MMEngine's constructor of optimizers reads."""


def check_config(cfg: Config) -> None:
    """Refuses two preprocessors, of which one would be used, and epochs and steps that cannot be counted.

    Raises:
        ValueError: There are two, or a number is out of its range.
    """
    loop, wrapper = cfg.get('train_cfg') or {}, cfg.get('optim_wrapper') or {}
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        check_range(f'train_cfg.{key}', loop.get(key, 1), 1, whole=True)
    check_range('optim_wrapper.accumulative_counts', wrapper.get('accumulative_counts', 1), 1, whole=True)
    if loop.get('val_begin', 1) > loop.get('max_epochs', float('inf')):
        raise ValueError(
            f'train_cfg.val_begin={loop.val_begin} lies behind train_cfg.max_epochs={loop.max_epochs}: no epoch would '
            'be evaluated'
        )
    if cfg.get('data_preprocessor') and cfg.model.get('data_preprocessor'):
        raise ValueError(
            'the config has data_preprocessor and model.data_preprocessor, and only the second would be used: take one '
            'out with None'
        )


def check_optimizer(cfg: Config, model: nn.Module) -> None:
    """Every setting for some of the parameters is known, and means at least one; a rate is scaled, or the log says not.

    Raises:
        ValueError: One is not, or means none.
    """
    scaling = cfg.get('auto_scale_lr')
    if scaling and 'enable' not in scaling:
        print_log(
            f'auto_scale_lr={dict(scaling)} does nothing without enable=True: the learning rate stays as it is',
            logger='current',
            level=logging.WARNING,
        )
    wrapper = cfg.get('optim_wrapper') or {}
    settings, place = wrapper.get('paramwise_cfg') or {}, 'optim_wrapper.paramwise_cfg'
    if wrapper.get('constructor', 'DefaultOptimWrapperConstructor') != 'DefaultOptimWrapperConstructor':
        return
    _known(settings, PARAMWISE, place)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    optimizer = OPTIMIZERS.get((wrapper.get('optimizer') or {}).get('type', ''))
    more = list(inspect.signature(optimizer).parameters) if optimizer else []
    for key, options in (settings.get('custom_keys') or {}).items():
        if not any(key in name for name in names):
            parts = {'.'.join(name.split('.')[:i]) for name in names for i in range(1, name.count('.') + 2)}
            near = did_you_mean(key, parts, "'")
            raise ValueError(
                f'{place}.custom_keys names {key!r}, which is in the name of no parameter that is trained{near}'
            )
        _known(options, ['lr_mult', 'decay_mult', *more], f'{place}.custom_keys[{key!r}]')


def _known(given: Iterable[str], known: Iterable[str], place: str) -> None:
    for name in given:
        if name not in known:
            near = did_you_mean(name, known, "'")
            raise ValueError(f'{place} has no setting {name!r}{near} (it takes {", ".join(known)})')
