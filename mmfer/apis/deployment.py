"""The deployed network: what is left of a checkpoint when everything that only training needs is gone."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from mmfer.apis.checkpoints.stored_config import find_part, other_package, stored_config

DEPLOYED = ('backbone', 'neck', 'head')
"""The children of mmpretrain's `ImageClassifier`; nothing else is deployed.

Children of theirs that only training needs, such as the importance of SCN's head, are named by the class that has
them, in `train_only`.
"""

BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked', 'generic')  # the last is ARM's


def deployed_state(
    checkpoint: Mapping[str, Any], averaged: bool | None = None, allow: Collection[str] = ()
) -> dict[str, Tensor]:
    """The tensors of `backbone`, `neck` and `head`, as far as they are not for training only.

    MMEngine's EMAHook leaves the averaged weights, which validation used, in `state_dict` and files the others under
    `ema_state_dict`.

    Args:
        checkpoint: What `read_checkpoint` returns.
        averaged: True insists on averaged weights, False on those that were not. Defaults to None: those that
            validation used.
        allow: Packages that may be asked what only training needs, besides mmfer and OpenMMLab's.

    Raises:
        ValueError: There are no such weights.
    """
    state, other = evaluated_state(checkpoint), checkpoint.get('ema_state_dict')
    if averaged and other is None:
        raise ValueError('the checkpoint has no averaged (EMA) weights: its run had no EMAHook; export without --ema')
    if averaged is False and other is not None:
        state = {key.removeprefix('module.'): value for key, value in other.items() if key.startswith('module.')}
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    train_only = {f'{name}.{child}' for name in DEPLOYED for child in _train_only(_built_of(checkpoint, name, allow))}
    state = {key: value for key, value in state.items() if _is_deployed(key, train_only)}
    if not state:
        raise ValueError('the checkpoint has no tensor of a backbone, neck or head: it is none of a classifier')
    return state


def evaluated_state(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors as validation had them when the checkpoint was written.

    MMEngine's EMAHook swaps averaged buffers in as well, while validation used those of the network itself, unless they
    are averaged, too (`update_buffers`). The two differ where several processes share a run.
    """
    state, other = dict(checkpoint['state_dict']), checkpoint.get('ema_state_dict') or {}
    stored = stored_config(checkpoint) if other else {}
    hooks = [*(stored.get('custom_hooks') or []), *(stored.get('default_hooks') or {}).values()]
    if not any(isinstance(hook, dict) and hook.get('update_buffers') for hook in hooks):
        state |= {
            key: other[f'module.{key}'] for key in state if key.split('.')[-1] in BUFFERS and f'module.{key}' in other
        }
    return state


def build_deployed(cfg: Config) -> ImageClassifier:
    """Builds a config's classifier without its supervision."""
    model = cfg.model.copy()
    for key in ('supervision', 'pretrained'):
        if key in model:
            model[key] = None
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpretrain')):
        return MODELS.build(model)


def load_deployed(model: nn.Module, checkpoint: Mapping[str, Any], source: str | Path = 'the checkpoint') -> None:
    """Loads the deployed tensors of a checkpoint, every one of them and no other.

    Raises:
        ValueError: They do not fit the model.
    """
    train_only = {f'{name}.{child}' for name in DEPLOYED for child in _train_only(getattr(model, name, None))}
    state = {key: value for key, value in deployed_state(checkpoint).items() if _is_deployed(key, train_only)}
    wanted = {key: value for key, value in model.state_dict().items() if _is_deployed(key, train_only)}
    check_fits(state, wanted, source)
    model.load_state_dict(state, strict=False)


def check_fits(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str | Path) -> None:
    """The tensors of a checkpoint are those that the config's model wants, each of its shape.

    Raises:
        ValueError: They are not; the first two that differ are named.
    """
    problems = [f'{key} is missing' for key in wanted if key not in state]
    problems += [f'{key} is left over' for key in state if key not in wanted]
    problems += [
        f'{key} is {tuple(state[key].shape)} there and {tuple(wanted[key].shape)} in the config'
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if problems:
        more = f' and {len(problems) - 2} more' if len(problems) > 2 else ''
        raise ValueError(
            f'{source} does not fit the config ({"; ".join(problems[:2])}{more}): give the config that '
            'it was trained with'
        )


def _is_deployed(key: str, train_only: Collection[str]) -> bool:
    """Whether a tensor belongs to the deployed network."""
    return key.split('.')[0] in DEPLOYED and '.'.join(key.split('.')[:2]) not in train_only


def _train_only(part: Any) -> Sequence[str]:
    """Names of a deployed part's children (or of those of its class) that only training needs."""
    return getattr(part, 'train_only', ())


def _built_of(checkpoint: Mapping[str, Any], name: str, allow: Collection[str]) -> type | None:
    """The class of a classifier's child as the checkpoint's config says, if it is a package's that may be asked."""
    model = stored_config(checkpoint).get('model')
    settings = model.get(name) if isinstance(model, dict) else None
    kind = settings.get('type') if isinstance(settings, dict) else None
    if package := other_package(kind, allow):
        print_log(
            f'the {name} is {kind}, and {package} was not asked which of its tensors only training needs: all of them '
            f'are kept; --allow {package} imports it and asks',
            logger='current',
            level=logging.WARNING,
        )
    return find_part(MODELS, kind, allow=allow)
