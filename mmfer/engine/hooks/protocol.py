"""Keeps a run's history and reports it: metrics.json, the confusion matrix, the learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from mmfer.engine.checks.classes import check_loaded_classes
from mmfer.engine.checks.selection import SELECTED_ON_TEST, check_selection
from mmfer.engine.dataset_parts import split_of
from mmfer.engine.epoch_loop import ResumableEpochLoop
from mmfer.engine.step_numbers import as_numbers
from mmfer.evaluation import FERMetric, protocol_report, report_table, write_report
from mmfer.registry import HOOKS
from mmfer.visualization import draw_confusion_matrix, draw_learning_curves

_READ_AT_ONCE = 1000
"""Steps whose scalars are read together."""


@HOOKS.register_module()
class ProtocolHook(Hook):
    """Reports every run the same way: last, mean of the last 5, and best epoch, the best named as what it is.

    After each validation the metrics and the epoch's mean of every scalar that the training steps returned join a
    history, and ``work_dir/metrics.json`` is rewritten. At the end the table is logged and ``confusion_matrix.png``
    and ``learning_curves.png`` are drawn. Another hook that writes the scalar ``val/<name>`` to the message hub before
    this one runs is part of the report.

    The history has its own key in the checkpoint. MMEngine saves an epoch's checkpoint before that epoch is
    validated; a resumed run therefore validates it first, so that 2 + 2 epochs report what 4 epochs do.

    Args:
        select_on: Which split may choose an epoch: None for none, 'val' or 'test' (a choice made with the test labels,
            which the log repeats). Defaults to None: the config's top-level key ``select_on``.
        metric: What 'best' means. Defaults to 'accuracy'.

    Raises:
        ValueError: ``select_on`` does not fit the evaluated split, or something selects although it is None.
    """

    priority = 'LOW'  # after those that compute, before CheckpointHook saves
    KEY = 'mmfer_protocol'

    def __init__(self, select_on: str | None = None, metric: str = 'accuracy'):
        if select_on not in (None, 'val', 'test'):
            raise ValueError(f"select_on must be None, 'val' or 'test', got {select_on!r}")
        self.select_on, self.metric = select_on, metric
        self.records: list[dict[str, Any]] = []
        self.confusion: list[list[int]] = []
        self.classes: list[str] = []
        self._steps: dict[str, list[Any]] = {}
        self._training = self._resumed = False

    @property
    def report(self) -> dict[str, Any] | None:
        """What ``metrics.json`` holds; None before the first validation and on ranks other than 0."""
        evaluated = any(record['metrics'] for record in self.records)
        return self._report() if evaluated and self.confusion else None

    def before_train(self, runner: Runner) -> None:
        """Checks that nothing chooses on the sly, and what may choose does so where it says."""
        self._training = True
        if self.select_on is None:
            self.select_on = ProtocolHook(runner.cfg.get('select_on')).select_on
        self._config = Path(runner.cfg.filename or runner.work_dir).stem
        self._seed = runner.seed
        if runner.val_loop is None:
            return
        self._split = split_of(runner.val_dataloader.dataset)
        self._fer_metric(runner)
        check_selection(runner, self.select_on, self.metric)
        if self.select_on == 'test':
            runner.logger.warning(SELECTED_ON_TEST)

    def before_train_epoch(self, runner: Runner) -> None:
        """Validates the epoch that the resumed checkpoint was saved at the end of."""
        self._catch_up(runner)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keeps the step's scalars, on the device: reading them here would stall it every step."""
        for name, value in (outputs or {}).items():
            if isinstance(value, torch.Tensor) and value.numel() == 1:
                value = value.detach()
            elif not isinstance(value, int | float):
                continue
            steps = self._steps.setdefault(name, [])
            steps.append(value)
            if len(steps) % _READ_AT_ONCE == 0:  # an epoch of ten million faces would leave gigabytes of tensors
                steps[-_READ_AT_ONCE:] = as_numbers(steps[-_READ_AT_ONCE:])

    def after_train_epoch(self, runner: Runner) -> None:
        """Closes the epoch."""
        self._close(runner, runner.epoch + 1)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Adds the metrics to the epoch and rewrites ``metrics.json``."""
        if not self._training:
            return
        place = 'epoch' if isinstance(runner.train_loop, EpochBasedTrainLoop) else 'iter'
        if self._steps or not self.records or self.records[-1][place] != getattr(runner, place):
            self._close(runner, runner.epoch)  # a loop that counts iterations, or a resume without our history
        scalars = runner.message_hub.log_scalars
        extra = {name.removeprefix('val/'): scalars[name].current() for name in scalars if name.startswith('val/')}
        figures = {**(metrics or {}), **{k: v for k, v in extra.items() if k not in ('time', 'data_time')}}
        self.records[-1]['metrics'] = {name: float(value) for name, value in figures.items()}
        if is_main_process():
            metric = self._fer_metric(runner)
            self.confusion, self.classes = metric.confusion.tolist(), list(metric.classes)
            write_report(self._report(), Path(runner.work_dir) / 'metrics.json')

    def after_train(self, runner: Runner) -> None:
        """Logs the table and draws the pictures."""
        self._catch_up(runner)
        self._training = False
        report = self.report
        if report is None or not is_main_process():
            return
        pictures = [Path(runner.work_dir) / name for name in ('confusion_matrix.png', 'learning_curves.png')]
        last = report['last']['epoch']
        draw_confusion_matrix(
            self.confusion,
            self.classes,
            pictures[0],
            f'{self._config}: {self._split}, {report["faces"]} faces, epoch {last}',
        )
        draw_learning_curves(report, pictures[1])
        runner.logger.info('\n' + report_table(report))
        if self.select_on == 'test':
            runner.logger.warning(SELECTED_ON_TEST)
        runner.logger.info(f'metrics.json, {pictures[0].name} and {pictures[1].name} are in {runner.work_dir}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Stores the history as plain lists and numbers, which torch.load reads with weights_only."""
        self._steps = {name: as_numbers(values) for name, values in self._steps.items()}
        steps = {name: list(values) for name, values in self._steps.items()}
        checkpoint[self.KEY] = dict(
            records=[dict(record) for record in self.records],
            steps=steps,
            confusion=self.confusion,
            classes=self.classes,
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Takes the history back when resuming; a run that only starts from given weights has its own."""
        if isinstance(runner._train_loop, BaseLoop):
            check_loaded_classes(runner, checkpoint)
        if not runner._resume:
            return
        self._resumed = True
        state = checkpoint.get(self.KEY)
        if state is None:
            runner.logger.warning(f'the checkpoint has no {self.KEY}: metrics.json begins at the resumed epoch')
            return
        self.records = state['records']
        begins_anew = isinstance(runner.train_loop, EpochBasedTrainLoop) and not isinstance(
            runner.train_loop, ResumableEpochLoop
        )
        self._steps = {} if begins_anew else state['steps']
        self.confusion, self.classes = state['confusion'], state['classes']

    def _report(self) -> dict[str, Any]:
        return protocol_report(
            self.records,
            config=self._config,
            seed=self._seed,
            split=self._split,
            classes=self.classes,
            confusion=self.confusion,
            select_on=self.select_on,
            metric=self.metric,
        )

    def _close(self, runner: Runner, epoch: int) -> None:
        train = {name: sum(as_numbers(values)) / len(values) for name, values in self._steps.items()}
        self.records.append(dict(epoch=epoch, iter=runner.iter, train=train, metrics={}))
        self._steps = {}

    def _catch_up(self, runner: Runner) -> None:
        if not self._resumed or runner.val_loop is None:
            return
        self._resumed = False
        loop, epoch = runner.train_loop, runner.epoch
        due = epoch >= max(loop.val_begin, 1) and (epoch % loop.val_interval == 0 or epoch == loop.max_epochs)
        if due and not any(record['epoch'] == epoch and record['metrics'] for record in self.records):
            runner.val_loop.run()

    def _fer_metric(self, runner: Runner) -> FERMetric:
        for metric in runner.val_evaluator.metrics:
            if isinstance(metric, FERMetric):
                return metric
        raise ValueError(
            "ProtocolHook reports what mmfer.FERMetric counts: add dict(type='mmfer.FERMetric') to val_evaluator"
        )
