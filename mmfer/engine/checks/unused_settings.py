"""Settings of a config that MMEngine would pass over without a word."""

from __future__ import annotations

import inspect
import logging

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import OPTIMIZERS
from torch import nn

from mmfer.engine.checks.compilation import check_compile
from mmfer.engine.checks.config_parts import config_parts
from mmfer.engine.checks.kinds import check_kinds
from mmfer.engine.checks.monitors import check_monitors
from mmfer.engine.checks.numbers import check_numbers
from mmfer.engine.checks.structure import check_groups, check_known, check_parts
from mmfer.models.supervision.methods_check import check_methods
from mmfer.structures.naming import did_you_mean

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
    """Refuses what can be seen to be wrong before anything is built.

    Misspelt keys, settings that are no numbers or out of range, two preprocessors of which one would be used, an
    evaluation that would never begin.

    Raises:
        ValueError: Something is.
    """
    check_settings(cfg)
    check_wrapper(cfg)
    check_compile(cfg)
    loop = cfg.get('train_cfg') or {}
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


def check_wrapper(cfg: Config) -> None:
    """The network is whole in every process, as the supervision and checkpoints need it.

    Raises:
        ValueError: It is to be sharded over the processes (FSDP).
    """
    for key in ('model_wrapper_cfg', 'strategy'):
        kind = str((cfg.get(key) or {}).get('type', ''))
        if any(word in kind for word in ('FullySharded', 'FSDP', 'DeepSpeed', 'Colossal')):
            raise ValueError(
                f'{key}.type={kind!r} shards the network over the processes, with which mmfer does not train: its '
                'methods copy the network or run it again, and a checkpoint would have the weights of one process; '
                f'take {key} out, so that each process has the whole network; where memory is short, set a smaller '
                'train_dataloader.batch_size, or optim_wrapper.type=AmpOptimWrapper'
            )


def check_settings(cfg: Config) -> None:
    """Every setting that a config has can be read: those of training, where it has them, and those of testing.

    Raises:
        ValueError: One is misspelt, no number, or out of range.
    """
    check_groups(cfg)
    if cfg.get('model') and cfg.model.get('supervision') is not None:
        check_methods(cfg.model.supervision)
    parts = list(config_parts(cfg))
    check_parts(parts)
    check_numbers(cfg)
    check_kinds(parts)
    check_monitors(cfg, parts)


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
    check_known(settings, PARAMWISE, place)
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
        check_known(options, ['lr_mult', 'decay_mult', *more], f'{place}.custom_keys[{key!r}]')
