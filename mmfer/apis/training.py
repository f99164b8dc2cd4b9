"""Trains a config."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfer import compat
from mmfer.engine.hooks.protocol import ProtocolHook


def train(cfg: Config, launcher: str = 'none') -> Runner:
    """Trains what a config describes and returns the runner at its end.

    Where `select_on` lets a split choose, the checkpoint of the best epoch is kept beside the last one.

    Args:
        cfg: A config with a `work_dir`, see `read_config`. It is changed in place.
        launcher: What started this process: 'none', 'pytorch' (torchrun) or 'slurm'.
    """
    compat.prepare(cfg, launcher)
    if cfg.get('select_on') is not None and 'checkpoint' in (cfg.get('default_hooks') or {}):
        cfg.default_hooks.checkpoint.setdefault('save_best', 'accuracy')
        cfg.default_hooks.checkpoint.setdefault('rule', 'greater')
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    runner.train()
    return runner


def protocol_of(runner: Runner) -> ProtocolHook | None:
    """The hook that holds the run's report."""
    return next((hook for hook in runner.hooks if isinstance(hook, ProtocolHook)), None)
