"""Trains a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfer import compat
from mmfer.engine.checks import check_batches, check_images, check_ranks_agree
from mmfer.engine.hooks.protocol import ProtocolHook


def train(cfg: Config, launcher: str = 'none') -> Runner:
    """Trains what a config describes and returns the runner at its end.

    Where `select_on` lets a split choose, the checkpoint of the best epoch is kept beside the last one.

    Args:
        cfg: A config with a `work_dir`, see `read_config`. It is changed in place.
        launcher: What started this process: 'none', 'pytorch' (torchrun) or 'slurm'.
    """
    if takes_parts_out(cfg.model):
        # What fed them may be left without a gradient, for which DistributedDataParallel would wait in vain.
        cfg.setdefault('find_unused_parameters', True)
    compat.prepare(cfg, launcher)
    if cfg.get('select_on') is not None and 'checkpoint' in (cfg.get('default_hooks') or {}):
        cfg.default_hooks.checkpoint.setdefault('save_best', 'accuracy')
        cfg.default_hooks.checkpoint.setdefault('rule', 'greater')
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    check_batches(runner.train_loop.dataloader)  # before MMEngine's schedules stumble over an epoch of no steps
    check_ranks_agree(runner.train_dataloader.dataset)
    check_images([loop.dataloader.dataset for loop in (runner.train_loop, runner.val_loop) if loop is not None])
    runner.train()
    return runner


def takes_parts_out(model: Mapping[str, Any]) -> bool:
    """Whether a part of a method is None: an ablation."""
    methods = [method for method in (model.get('supervision') or {}).values() if method is not None]
    return any(part is None for method in methods for kind in method.values() for part in (kind or {}).values())


def protocol_of(runner: Runner) -> ProtocolHook | None:
    """The hook that holds the run's report."""
    return next((hook for hook in runner.hooks if isinstance(hook, ProtocolHook)), None)
