"""Saves within long epochs, and when a run is told to stop."""

from __future__ import annotations

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.engine.hooks.checkpoint import CheckpointHook
from mmfer.engine.interruption import Agreement, StopRequest, TrainingStopped

GO_ON, SAVE, STOP = range(3)


class InterruptionHook(Hook):
    """Ends a run that was told to, behind a checkpoint, and saves a long epoch every so many minutes.

    A signal reaches the ranks at different moments, and clocks differ. So all agree on the iteration behind which they
    save. Gradients that wait for more (`accumulative_counts`) are in no checkpoint, so it is saved between steps of the
    optimizer.

    Args:
        request: Whether the run was told to stop.
    """

    priority = 'LOWEST'  # behind CheckpointHook, which may have saved by itself

    def __init__(self, request: StopRequest):
        self.request = request
        self._stops = False

    def before_train(self, runner: Runner) -> None:
        """Finds what saves, and begins to measure."""
        self._agreement = Agreement()
        self._checkpoints = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        self._saved = time.monotonic()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Saves where it is time to, or the run is told to stop."""
        agreed = self._agreement.say(self._wish())
        self._stops = self._stops or agreed == STOP
        if agreed == GO_ON and not self._stops:
            return
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and batch_idx + 1 == len(runner.train_dataloader):
            return  # the epoch's checkpoint comes next
        if (runner.iter + 1) % getattr(runner.optim_wrapper, '_accumulative_counts', 1):
            return
        if self._checkpoints is not None and self._checkpoints.saved_at != runner.iter + 1:
            self._checkpoints.save_within_epoch(runner)
        self._saved = time.monotonic()
        self._end_if_told()

    def after_train_epoch(self, runner: Runner) -> None:
        """Ends the run where the signal came during the last iteration; the epoch is saved whatever its interval."""
        if self._stops and self._checkpoints is not None and self._checkpoints.saved_at != runner.iter:
            self._checkpoints._save_checkpoint(runner)
        self._saved = time.monotonic()
        self._end_if_told()

    def after_val_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Ends a run that is evaluated between epochs: its epoch is saved, and is evaluated when it goes on."""
        if self.request.reason:
            raise TrainingStopped(self.request.reason, together=False)

    def _end_if_told(self) -> None:
        if self._stops:
            self._agreement.wait_for_all()  # else one that leaves has the others killed while they write
            raise TrainingStopped(self.request.reason or 'a signal to another process', together=True)

    def _wish(self) -> int:
        if self.request.reason:
            return STOP
        minutes = self._checkpoints.minutes if self._checkpoints is not None else 0
        due = minutes and is_main_process() and time.monotonic() - self._saved > 60 * minutes
        return SAVE if due else GO_ON
