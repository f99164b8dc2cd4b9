"""Ends a run whose losses or weights are no numbers any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from torch import Tensor

from mmfer.registry import HOOKS

CURE = 'lower optim_wrapper.optimizer.lr, give optim_wrapper.clip_grad.max_norm, or train without --amp'


@dataclass(frozen=True)
class _Step:
    epoch: int
    iteration: int
    names: tuple[str, ...]
    losses: Tensor
    faces: Any
    done: Any  # the event behind which `losses` are here; None: they are


@HOOKS.register_module()
class FiniteHook(Hook):
    """Ends a run at the first loss that is NaN or infinite, and lets no checkpoint be written that holds such weights.

    Losses come from a GPU while it goes on: no step waits for them, so that the run ends a step or two later there.
    Where a gradient scaler looks for the largest scale that does not overflow (`--amp` in float16), single steps
    overflow on purpose and are passed over; there `OVERFLOWS` in a row end the run.
    """

    priority = 80  # behind the hooks that average or add, before CheckpointHook
    OVERFLOWS = 20
    HELD = ('state_dict', 'ema_state_dict', 'optimizer')
    """What is looked at of a checkpoint."""

    def __init__(self) -> None:
        self._waiting: deque[_Step] = deque()
        self._in_a_row = 0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Looks at the losses of the steps that are known by now.

        Raises:
            ValueError: One is no finite number; it is named, with the faces of the step.
        """
        scalars = (outputs or {}).items()
        losses = {name: value for name, value in scalars if 'loss' in name and isinstance(value, Tensor)}
        if losses:
            values = torch.stack([value.detach().reshape(()).double() for value in losses.values()])
            event = None
            if values.is_cuda:
                values = values.to('cpu', non_blocking=True)
                event = torch.cuda.Event()
                event.record()
            faces = data_batch.get('data_samples') if isinstance(data_batch, Mapping) else None
            step = _Step(runner.epoch + 1, runner.iter + 1, tuple(losses), values, faces, event)
            self._waiting.append(step)
        while self._waiting and (self._waiting[0].done is None or self._waiting[0].done.query()):
            self._check(runner, self._waiting.popleft())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Looks at what is about to be saved.

        Raises:
            ValueError: A loss or a tensor is no finite number; the checkpoint before stays the last one.
        """
        while self._waiting:
            step = self._waiting.popleft()
            if step.done is not None:
                step.done.synchronize()
            self._check(runner, step)
        for name, tensor in _tensors({key: checkpoint.get(key) for key in self.HELD}):
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ValueError(
                    f'{name} holds numbers that are NaN or infinite behind iteration {runner.iter}, so no checkpoint '
                    f'is written: {CURE}{_last(runner)}'
                )

    def _check(self, runner: Runner, step: _Step) -> None:
        if step.losses.isfinite().all():
            self._in_a_row = 0
            return
        self._in_a_row += 1
        if getattr(runner.optim_wrapper, 'loss_scaler', None) is not None and self._in_a_row < self.OVERFLOWS:
            return
        bad = {name: float(x) for name, x in zip(step.names, step.losses, strict=True) if not x.isfinite()}
        terms = {name: value for name, value in bad.items() if name != 'loss'} or bad
        faces = _names(runner, step.faces)
        if faces:
            text = f'the faces of iteration {step.iteration}: {", ".join(faces)}'
            runner.logger.info(text, extra=dict(file_only=True))
        shown = f'; its faces are {", ".join(faces[:3])}{", ..." if len(faces) > 3 else ""} (the log has all)'
        raise ValueError(
            f'{" and ".join(f"{name} is {value}" for name, value in terms.items())} in epoch {step.epoch}, iteration '
            f'{step.iteration}{shown if faces else ""}: {CURE}{_last(runner)}'
        )


def _names(runner: Runner, faces: Any) -> list[str]:
    rows = getattr(faces, 'sample_idx', None)
    if rows is None:
        return []
    dataset = runner.train_dataloader.dataset
    return [str(dataset.get_data_info(int(row)).get('img_path', row)) for row in rows]


def _last(runner: Runner) -> str:
    last = next((hook.last_ckpt for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    return f'; the last good checkpoint is {last}' if last else '; no checkpoint was written yet'


def _tensors(value: Any, name: str = '') -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f'{name}.{key}' if name else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _tensors(item, f'{name}.{i}')
