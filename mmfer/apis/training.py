"""Trains a config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmfer import compat
from mmfer.apis.loader_faults import LONGEST_WAIT
from mmfer.datasets.transforms.pipeline_trial import try_pipeline
from mmfer.engine.beginning import choose_beginning, clear_folder
from mmfer.engine.checks.accumulation import check_accumulation
from mmfer.engine.checks.classes import check_classes
from mmfer.engine.checks.held_out import check_held_out
from mmfer.engine.checks.images import check_images
from mmfer.engine.checks.loaders import check_batches, check_norm, check_ranks_agree
from mmfer.engine.checks.preprocessor import check_preprocessor
from mmfer.engine.checks.structure import MMENGINE_HOOKS
from mmfer.engine.checks.unused_settings import check_config, check_optimizer
from mmfer.engine.collecting import collect_in
from mmfer.engine.dataset_parts import face_datasets
from mmfer.engine.hooks.drawn_labels import DrawnLabelsHook
from mmfer.engine.hooks.interruption import InterruptionHook
from mmfer.engine.hooks.protocol import ProtocolHook
from mmfer.engine.hooks.training_faces import TrainingFacesHook
from mmfer.engine.interruption import StopRequest, TrainingStopped
from mmfer.engine.loader_workers import enforce_timeout, keep_through_signals
from mmfer.engine.run_lock import only_run_in
from mmfer.engine.run_summary import run_summary
from mmfer.engine.terminal import TerminalRunner, VerboseRunner, outlast_a_full_disk, progress_of


def train(cfg: Config, launcher: str = 'none', verbose: bool = False) -> Runner:
    """Trains what a config describes and returns the runner at its end.

    Where `select_on` lets a split choose, the checkpoint of the best epoch is kept beside the last one.

    Args:
        cfg: A config with a `work_dir`, see `read_config`. It is changed in place.
        launcher: What started this process: 'none', 'pytorch' (torchrun) or 'slurm'.
        verbose: Whether the terminal shows all that the log file has, instead of what people read.

    Raises:
        TrainingStopped: A signal told it to stop; it did, behind a checkpoint.
        ValueError: The config, its data or its folder cannot be trained with; the sentence has the cure.
    """
    check_config(cfg)
    if takes_parts_out(cfg.model):
        # What fed them may be left without a gradient, for which DistributedDataParallel would wait in vain.
        cfg.setdefault('find_unused_parameters', True)
    compat.prepare(cfg, launcher)
    complete_hooks(cfg, launcher)
    resume_within_epochs(cfg)
    draw_without_lists(cfg)
    compile_modules(cfg)
    pin_memory(cfg)
    forget_workers(cfg)
    limit_waiting(cfg)
    with only_run_in(cfg.work_dir) if is_first_process(launcher) else nullcontext():
        return _run(cfg, launcher, verbose)


def _run(cfg: Config, launcher: str, verbose: bool) -> Runner:
    runner_type = VerboseRunner if verbose else TerminalRunner
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else runner_type.from_cfg(cfg)
    outlast_a_full_disk(runner.logger)
    if runner.val_loop is not None:
        collect_in(runner.val_evaluator, runner.work_dir)
    choose_beginning(runner)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if runner._resume:
        # The checkpoint has all weights; the files that the run began with may be gone.
        model.init_weights = lambda: None
    check_optimizer(cfg, model)
    check_norm(runner.train_loop.dataloader, model)
    check_batches(runner.train_loop.dataloader)  # before MMEngine's schedules stumble over an epoch of no steps
    check_accumulation(runner)
    check_classes(runner)
    check_held_out(runner)
    check_ranks_agree(runner.train_dataloader.dataset)
    loaders = [loop.dataloader for loop in (runner.train_loop, runner.val_loop) if loop is not None]
    loaded = [loader.dataset for loader in loaders]
    for dataset in loaded:
        for faces in face_datasets(dataset):
            try_pipeline(faces)
    check_preprocessor(runner)
    sizes = check_images(loaded)
    if len(sizes[0]):
        runner.register_hook(TrainingFacesHook(sizes[0]))
    del sizes  # of ten million faces 80 MB, for as long as the training lasts
    if any(part.draws_labels for part in face_datasets(loaded[0])):
        runner.register_hook(DrawnLabelsHook())
    runner.logger.info(run_summary(runner))
    clear_folder(runner)
    for loader in loaders:
        keep_through_signals(loader)
        enforce_timeout(loader)
    request = StopRequest()
    runner.register_hook(InterruptionHook(request))
    with request.listening(with_parent=launcher == 'pytorch'), progress_of(runner):
        try:
            runner.train()
        except RuntimeError as error:  # of a rank that waited for one which left at the same signal
            if launcher != 'none' and request.came():
                raise TrainingStopped(request.reason, together=False) from error
            raise
    return runner


def complete_hooks(cfg: Config, launcher: str) -> None:
    """Takes out hooks that are None, and adds what the number of processes and `select_on` ask for."""
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = {}
    hooks = cfg.default_hooks
    for name in [name for name, hook in hooks.items() if hook is None and name not in MMENGINE_HOOKS]:
        del hooks[name]  # MMEngine takes None for its own only
    if launcher != 'none' and cfg.get('sync_bn') is None:
        # Else every process would evaluate with statistics of its own, and the first one's alone would be kept.
        hooks.setdefault('sync_buffers', dict(type='SyncBuffersHook'))
    if cfg.get('select_on') is not None and hooks.get('checkpoint') is not None:
        hooks.checkpoint.setdefault('save_best', 'accuracy')
        hooks.checkpoint.setdefault('rule', 'greater')


def resume_within_epochs(cfg: Config) -> None:
    """Takes for MMEngine's loop over epochs and its CheckpointHook those that lose nothing."""
    if cfg.get('train_cfg') and cfg.train_cfg.get('by_epoch') and 'type' not in cfg.train_cfg:
        cfg.train_cfg.pop('by_epoch')
        cfg.train_cfg.type = 'mmfer.ResumableEpochLoop'
    hook = cfg.default_hooks.get('checkpoint')
    if hook is not None and hook.get('type') in ('CheckpointHook', 'mmengine.CheckpointHook'):
        hook.type = 'mmfer.CheckpointHook'


def draw_without_lists(cfg: Config) -> None:
    """Takes for MMEngine's DefaultSampler of the training faces one that gives the same order in less memory."""
    sampler = cfg.train_dataloader.get('sampler')
    if sampler is not None and sampler.get('type') in ('DefaultSampler', 'mmengine.DefaultSampler'):
        sampler.type = 'mmfer.EveryFaceSampler'


def compile_modules(cfg: Config) -> None:
    """Lets a hook compile the network's modules, where MMEngine would compile the whole step."""
    asked = cfg.pop('compile', None)
    if asked is False:
        cfg.default_hooks.pop('compile', None)
    elif asked is not None:
        cfg.default_hooks.compile = dict(type='mmfer.CompileHook', **({} if asked is True else asked))


def pin_memory(cfg: Config) -> None:
    """Lets loaders deliver in page-locked memory where there is a GPU, which copies from it while it computes."""
    for name in ('train', 'val', 'test'):
        if torch.cuda.is_available() and cfg.get(f'{name}_dataloader'):
            cfg[f'{name}_dataloader'].setdefault('pin_memory', True)


def forget_workers(cfg: Config) -> None:
    """Takes out of loaders without workers what is said of workers, which torch refuses."""
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        if loader and not loader.get('num_workers'):
            for key in ('persistent_workers', 'prefetch_factor', 'timeout'):
                loader.pop(key, None)


def limit_waiting(cfg: Config) -> None:
    """Lets loaders wait for their workers no longer than `LONGEST_WAIT`, where the config does not say how long."""
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        if loader and loader.get('num_workers'):
            loader.setdefault('timeout', LONGEST_WAIT)


def is_first_process(launcher: str) -> bool:
    """Whether this is the main process, before the processes know each other."""
    return launcher == 'none' or os.environ.get('SLURM_PROCID' if launcher == 'slurm' else 'RANK', '0') == '0'


def takes_parts_out(model: Mapping[str, Any]) -> bool:
    """Whether a part of a method is None: an ablation."""
    methods = [method for method in (model.get('supervision') or {}).values() if method is not None]
    return any(part is None for method in methods for kind in method.values() for part in (kind or {}).values())


def protocol_of(runner: Runner) -> ProtocolHook | None:
    """The hook that holds the run's report."""
    return next((hook for hook in runner.hooks if isinstance(hook, ProtocolHook)), None)
