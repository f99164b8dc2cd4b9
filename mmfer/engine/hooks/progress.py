"""What a training shows on the terminal: a bar while it works, a line of losses and a line of figures an epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.engine.dataset_parts import split_of
from mmfer.evaluation.protocol import HEADLINE
from mmfer.progress import ProgressBar


class ProgressHook(Hook):
    """Shows how far a run is, and after each epoch what it reached.

    It never asks a device for anything: losses come from the message hub, which has them when `LoggerHook` prints. The
    losses of an epoch's line are means over its steps.

    `close` takes the bar away where a run ends before its time.
    """

    priority = 'LOW'  # after LoggerHook, and after what ProtocolHook validates before an epoch

    def __init__(self) -> None:
        self._bars: list[ProgressBar] = []  # an evaluation's below that of the training it interrupts

    def before_train(self, runner: Runner) -> None:
        """Begins to measure."""
        self._interval = min((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), default=0)
        self._run_began, self._first_step = time.monotonic(), runner.iter

    def before_train_epoch(self, runner: Runner) -> None:
        """Shows the bar of an epoch, or of all iterations where the loop counts these."""
        self._epoch_began = time.monotonic()
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        done = runner.iter - runner.epoch * len(runner.train_dataloader) if by_epoch else 0
        self._known = {name: len(history.data[0]) - done for name, history in _train_scalars(runner).items()}
        if by_epoch:
            self._show(f'epoch {runner.epoch + 1}/{runner.max_epochs}', len(runner.train_dataloader), done)
        else:
            self._show('training', runner.max_iters, runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Moves the bar on, with the loss and the time to the end of the run where `LoggerHook` prints."""
        if self._interval and self.every_n_inner_iters(batch_idx, self._interval):
            loss = _train_scalars(runner).get('loss')
            figures = f'loss {loss.mean(self._interval):.4g}, ' if loss else ''
            self._bars[-1].set_postfix_str(
                f'{figures}run {self._time_left(runner, runner.iter + 1)} left', refresh=False
            )
        self._bars[-1].update()

    def after_train_epoch(self, runner: Runner) -> None:
        """Says the epoch's mean losses."""
        self._bars.pop().close()
        scalars = _train_scalars(runner)
        news = {name: len(history.data[0]) - self._known.get(name, 0) for name, history in scalars.items()}
        means = {name: scalars[name].mean(count) for name, count in news.items() if count > 0}
        losses = [f'{name.removesuffix("_loss")} {mean:.4f}' for name, mean in means.items() if 'loss' in name]
        rates = [f'{name} {scalars[name].current():.2g}' for name in means if name == 'lr' or name.endswith('.lr')]
        times = (
            f'took {_seconds(time.monotonic() - self._epoch_began)}, run {self._time_left(runner, runner.iter)} left'
        )
        runner.logger.info('  '.join([_place(runner, 1), ', '.join(losses), *rates, times]))

    def before_val_epoch(self, runner: Runner) -> None:
        """Shows the bar of an evaluation."""
        self._show('evaluating', len(runner.val_dataloader))

    def after_val_iter(self, *args: Any, **kwargs: Any) -> None:
        """Moves the bar on."""
        self._bars[-1].update()

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Says the headline figures, or all where an evaluator has others."""
        self._bars.pop().close()
        figures = {HEADLINE[name]: value for name, value in (metrics or {}).items() if name in HEADLINE} or metrics
        text = ', '.join(f'{name} {value:.2f}' for name, value in (figures or {}).items())
        runner.logger.info(f'{_place(runner, 0)}  {split_of(runner.val_dataloader.dataset)}: {text}')

    def before_test_epoch(self, runner: Runner) -> None:
        """Shows the bar of a test."""
        self._show('testing', len(runner.test_dataloader))

    def after_test_iter(self, *args: Any, **kwargs: Any) -> None:
        """Moves the bar on."""
        self._bars[-1].update()

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Takes the bar away."""
        self._bars.pop().close()

    def close(self) -> None:
        """Takes away what bars there are."""
        while self._bars:
            self._bars.pop().close()

    def _show(self, title: str, total: int, done: int = 0) -> None:
        self._bars.append(ProgressBar(desc=title, total=total, initial=done, unit='batch'))

    def _time_left(self, runner: Runner, done: int) -> str:
        seconds_a_step = (time.monotonic() - self._run_began) / max(done - self._first_step, 1)
        return _seconds(seconds_a_step * (runner.max_iters - done))


def _train_scalars(runner: Runner) -> dict[str, HistoryBuffer]:
    scalars = runner.message_hub.log_scalars
    return {name.removeprefix('train/'): scalars[name] for name in scalars if name.startswith('train/')}


def _place(runner: Runner, in_progress: int) -> str:
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        kind, done, of = 'epoch', runner.epoch + in_progress, runner.max_epochs
    else:
        kind, done, of = 'iteration', runner.iter, runner.max_iters
    return f'{kind} {done:{len(str(of))}}/{of}'


def _seconds(duration: float) -> str:
    return str(timedelta(seconds=round(duration)))
