"""Hands the scalars of training steps to the log, when it prints."""

from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from mmengine.utils import apply_to
from torch import Tensor

from mmfer.registry import HOOKS


@HOOKS.register_module()
class StepScalarsHook(RuntimeInfoHook):
    """MMEngine's RuntimeInfoHook, with one wait for the device per printed line.

    MMEngine's reads every scalar of every step at once, so that a GPU has run dry when the next step is launched. Here
    they stay on the device until the logger prints or the epoch ends, and are then read together; the message hub gets
    the same values in the same order.
    """

    def __init__(self) -> None:
        super().__init__()
        self._steps: list[dict[str, Any]] = []
        self._interval = 1

    def before_train(self, runner: Runner) -> None:
        """Learns how often the logger prints."""
        super().before_train(runner)
        self._steps.clear()
        self._interval = min((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), default=1)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keeps the step's scalars; hands all of them over where the logger is about to print."""
        self._steps.append({name: _kept(value) for name, value in (outputs or {}).items()})
        if self.every_n_inner_iters(batch_idx, self._interval) or self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._hand_over(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """A checkpoint that is written between two lines has the scalars since the last one, too."""
        if self._steps:
            self._hand_over(runner)
            hub = runner.message_hub.state_dict()
            checkpoint['message_hub'] = apply_to(hub, lambda value: hasattr(value, 'cpu'), lambda value: value.cpu())

    def _hand_over(self, runner: Runner) -> None:
        scalars = [(name, value) for step in self._steps for name, value in step.items()]
        kept = [value for _, value in scalars if isinstance(value, Tensor)]
        read = iter(torch.stack(kept).tolist() if kept else [])
        for name, value in scalars:
            runner.message_hub.update_scalar(f'train/{name}', next(read) if isinstance(value, Tensor) else value)
        self._steps.clear()


def _kept(value: Any) -> Any:
    # A copy, as a part may go on writing to its tensor; in double precision, which holds every other exactly.
    return value.detach().reshape(()).to(torch.float64, copy=True) if isinstance(value, Tensor) else value
