"""What a resumed run has to know of the run that it goes on with, and where its schedule then stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

ANEW = 'or begin anew from its weights: --cfg-options load_from=CHECKPOINT, without --resume'


def schedule_settings(runner: Runner) -> dict[str, Any]:
    """What learning rates and the optimizer's other settings follow from, by dotted key, as plain values."""
    cfg, loop, loader = runner.cfg, runner.train_loop, runner.train_dataloader
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    wrapper = cfg.get('optim_wrapper') or {}
    found = {
        'train_cfg.max_epochs' if by_epoch else 'train_cfg.max_iters': loop.max_epochs if by_epoch else loop.max_iters,
        'train_dataloader.batch_size': loader.batch_size,
        'train_dataloader.drop_last': loader.drop_last,
        'processes': get_world_size(),
        'iterations of an epoch': len(loader),
    }
    named = {
        f'optim_wrapper.{key}': wrapper.get(key)
        for key in ('optimizer', 'accumulative_counts', 'clip_grad', 'paramwise_cfg')
    }
    named |= {key: cfg.get(key) for key in ('param_scheduler', 'auto_scale_lr')}
    for key, value in named.items():
        found.update(_flat(value, key))
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """`train_cfg.max_epochs 4 -> 20, ...`; empty where nothing differs."""
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return ', '.join(f'{key} {before.get(key)} -> {now.get(key)}' for key in keys)


def iterations_within(meta: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> int:
    """How many iterations of its epoch a run has behind it, with the batches of now.

    The samplers' order does not depend on batches and processes, so that the same faces are passed over; where they
    fill no whole number of the new batches, those of the last one come again.

    Args:
        meta: Of the checkpoint.
        before: `schedule_settings` of the run that wrote it; empty where it does not say.
        now: Those of this run.
    """
    length = now['iterations of an epoch']
    if not before:
        done = meta['iter'] - meta['epoch'] * length
        return done if 0 <= done < length else 0
    done = meta['iter'] - meta['epoch'] * before['iterations of an epoch']
    if _batch(before) and _batch(now):
        done = done * _batch(before) // _batch(now)
    return min(max(done, 0), length)


def _batch(settings: Mapping[str, Any]) -> int:
    return (settings.get('train_dataloader.batch_size') or 0) * settings['processes']


def check_goes_on(
    runner: Runner, checkpoint: Mapping[str, Any], saved: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """The checkpoint can be gone on with; where MMEngine would leave weights as they were initialised, it cannot.

    Args:
        runner: The run, before it resumes.
        checkpoint: What was read.
        saved: What the checkpoint says of its run; empty where it says nothing.
        facts: The same of this one.

    Raises:
        ValueError: It is of another network, other faces or another optimizer, has no optimizer's memory, or more
            epochs behind it than the run is to have.
    """
    meta = checkpoint.get('meta') or {}
    if 'optimizer' not in checkpoint or not {'epoch', 'iter'} <= set(meta):
        raise ValueError(
            'the checkpoint has no state of the optimizer, as those of CheckpointHook(save_optimizer=False) and '
            f'exported ones have none: resume from one that has, {ANEW}'
        )
    for split, use in (('train', 'remembers another training set'), ('val', 'was validated on another data set')):
        if saved and saved['faces'].get(split) != facts['faces'].get(split):
            raise ValueError(
                f'the checkpoint {use} (other images or labels) than the config names; resume with the data of its '
                'run, or start anew with load_from'
            )
    before, now = saved.get('optimizer', facts['optimizer']), facts['optimizer']
    if before != now:
        raise ValueError(
            f'the checkpoint has the memory of {before}, which {now} cannot go on with: resume with '
            f'optim_wrapper.optimizer.type={before}, {ANEW}'
        )
    if 'ema_state_dict' in checkpoint and not any(isinstance(hook, EMAHook) for hook in runner.hooks):
        raise ValueError(f'the run of the checkpoint averaged its weights: resume it with the same EMAHook, {ANEW}')
    _check_network(runner, checkpoint['state_dict'])
    epochs, wanted = meta['epoch'], getattr(runner.train_loop, 'max_epochs', 0)
    if isinstance(runner.train_loop, EpochBasedTrainLoop) and epochs > wanted:
        raise ValueError(
            f'the checkpoint has {epochs} epochs behind it, more than train_cfg.max_epochs={wanted}: nothing would be '
            'trained; give a larger train_cfg.max_epochs, or name an earlier checkpoint with --resume CHECKPOINT'
        )


def _check_network(runner: Runner, state: Mapping[str, Any]) -> None:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    there = {key.removeprefix('module.'): tuple(value.shape) for key, value in state.items()}
    problems = [f'{key} is missing' for key in wanted if key not in there]
    problems += [f'{key} is left over' for key in there if key not in wanted]
    problems += [
        f'{k} is {there[k]} there and {wanted[k]} here' for k in wanted if there.get(k, wanted[k]) != wanted[k]
    ]
    if problems:
        more = f' and {len(problems) - 2} more' if len(problems) > 2 else ''
        raise ValueError(
            f'the checkpoint is of another network than the config ({"; ".join(problems[:2])}{more}): resume with the '
            f'config and the --cfg-options that it was trained with, {ANEW}'
        )


def reschedule(runner: Runner, checkpoint: dict[str, Any], changed: str, within: int = 0) -> None:
    """Lets a checkpoint stand where a run with the present settings would stand at its place.

    The place is the number of epochs behind it, and of iterations of the next, as another batch size or number of
    processes makes other iterations (for a loop that counts iterations it is that number). The schedulers, just built,
    are stepped to it, as most of them know their value from the last one only; the optimizer keeps its memory and takes
    the settings.

    Args:
        runner: The run, before it resumes.
        checkpoint: Changed in place.
        changed: What differs, for messages.
        within: Iterations of the next epoch that are done, with the present batches.

    Raises:
        ValueError: If that cannot be done.
    """
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers or []
    if not isinstance(wrapper, OptimWrapper) or not isinstance(schedulers, list):
        raise ValueError(f'a run with several optimizers is resumed with its own settings only, but {changed}')
    following = next((type(s).__name__ for s in schedulers if getattr(s, 'need_val_args', False)), None)
    if following:
        raise ValueError(
            f'{following} follows the validations, so that its run is resumed with its own settings only, but {changed}'
        )
    meta, state = checkpoint['meta'], checkpoint['optimizer']
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    if by_epoch:
        meta['iter'] = meta['epoch'] * len(runner.train_dataloader) + within
    fresh = _advanced(runner, meta['iter'])
    groups = fresh['param_groups']
    if [len(group['params']) for group in groups] != [len(group['params']) for group in state['param_groups']]:
        raise ValueError(
            f'the optimizer of the checkpoint has other parameter groups ({changed}): resume with '
            f'optim_wrapper.paramwise_cfg as it was, {ANEW}'
        )
    state['param_groups'] = groups
    if 'base_param_settings' in fresh:
        state['base_param_settings'] = fresh['base_param_settings']
    checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in schedulers]


def _advanced(runner: Runner, iters: int) -> dict[str, Any]:
    """Steps the schedulers to a place, and gives the optimizer's state there."""
    schedulers = runner.param_schedulers or []
    for scheduler in schedulers:
        scheduler.optimizer._global_step = 0  # else MMEngine warns that no step was taken
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    length = len(runner.train_dataloader)
    for i in range(1, iters + 1):
        for scheduler in schedulers:
            if not scheduler.by_epoch:
                scheduler.step()
        if by_epoch and i % length == 0:
            for scheduler in schedulers:
                if scheduler.by_epoch:
                    scheduler.step()
    return runner.optim_wrapper.state_dict()


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, f'{key}.{name}')
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, item in enumerate(value):
            yield from _flat(item, f'{key}.{i}')
    elif value is not None:
        yield key, value if isinstance(value, bool | int | float | str) else str(value)
