"""A table of every relabel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmfer.datasets.reading.csv_cells import read_csv_rows, written_csv
from mmfer.engine.supervision_of import supervision_of
from mmfer.registry import HOOKS

FIELDS = ('epoch', 'sample_idx', 'name', 'old', 'new', 'clean', 'right')


@HOOKS.register_module()
class RelabelLogHook(Hook):
    """Writes which faces got another label, and when, to ``relabels.csv`` in the run's folder.

    A row is a face whose remembered label (the bank's column ``relabelled``) differs after an epoch from before it:
    ``epoch`` (from 1), ``sample_idx``, ``name`` as the dataset has it, ``old`` and ``new`` class, and where the clean
    label is known ``clean`` and ``right`` (yes or no: whether the new label is the clean one), else nothing. The
    columns are compared once an epoch: of a face that is drawn several times and relabelled twice, or there and back,
    only what the epoch has changed in all is seen.

    Rows of epochs that a resumed run repeats are taken out first, so that its table is that of an uninterrupted run.
    Runs without such a column write no table.
    """

    priority = 'NORMAL'
    FILE = 'relabels.csv'
    KEY = 'mmfer_relabels'

    def __init__(self) -> None:
        self._before: Tensor | None = None
        self._resumed: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Begins the table, or goes on behind the epochs that are done."""
        if not is_main_process() or _labels(runner) is None:
            return
        path, done = Path(runner.work_dir) / self.FILE, runner.epoch
        rows = read_rows(path, done) if path.is_file() else []
        if done and not path.is_file():
            runner.logger.warning(f'{path} is not there: the relabels up to epoch {done} will be missing in it')
        _write(path, rows)

    def before_train_epoch(self, runner: Runner) -> None:
        """Notes the labels in use; an epoch that goes on has noted them when it began."""
        labels = _labels(runner) if is_main_process() else None
        if labels is not None:
            begun_with = labels if self._resumed is None else self._resumed
            self._before = begun_with.to(labels, copy=True)
        self._resumed = None

    def after_train_epoch(self, runner: Runner) -> None:
        """Adds the faces that now have another one."""
        if self._before is None:
            return
        labels, dataset = _labels(runner), runner.train_dataloader.dataset
        classes, names = dataset.metainfo['classes'], (getattr(dataset, 'columns', None) or {}).get('name')
        changed = (labels != self._before).nonzero().flatten()
        rows: list[tuple[Any, ...]] = []
        for i, old, new in zip(*(x.tolist() for x in (changed, self._before[changed], labels[changed])), strict=True):
            info = dataset.get_data_info(i)
            name = info['img_path'] if names is None else str(names[i])
            clean = info.get('clean_label', -1)
            truth = ('', '') if clean < 0 else (classes[clean], 'yes' if new == clean else 'no')
            rows.append((runner.epoch + 1, i, name, classes[old], classes[new], *truth))
        path = Path(runner.work_dir) / self.FILE
        before = read_rows(path, runner.epoch) if path.is_file() else []
        _write(path, [*before, *rows])
        self._before = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keeps what an epoch that is not done began with."""
        if self._before is not None:
            checkpoint[self.KEY] = self._before

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Takes it back."""
        if runner._resume:
            self._resumed = checkpoint.get(self.KEY)


def read_rows(path: Path, last_epoch: int) -> list[list[str]]:
    """The rows of a table up to an epoch."""
    rows = [row for row in read_csv_rows(path) if len(row) == len(FIELDS) and row[0].isdecimal() and len(row[0]) < 10]
    return [row for row in rows if int(row[0]) <= last_epoch]


def _write(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Writes the table whole, so that a kill leaves that of the epochs before."""
    with written_csv(path) as writer:
        writer.writerows([FIELDS, *rows])


def _labels(runner: Runner) -> Tensor | None:
    supervision = supervision_of(runner)
    known = supervision is not None and 'relabelled' in supervision.bank.columns
    return supervision.bank.column('relabelled') if known else None
