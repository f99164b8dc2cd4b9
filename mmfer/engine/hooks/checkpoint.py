"""Saves checkpoints so that no moment has none."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from mmfer.engine.whole_checkpoints import WHOLE
from mmfer.registry import HOOKS

WITHIN_EPOCH = re.compile(r'iter_(\d+)\.pth')
"""Names of checkpoints that were saved within an epoch."""


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's CheckpointHook, for runs that are killed.

    MMEngine's deletes the old checkpoint, then writes the new one in place: a run that is killed meanwhile has none.
    Here a checkpoint is written beside, onto the disk and with a seal (:mod:`mmfer.structures.tensor_file`), and takes
    its name when it is whole; then `last_checkpoint` does; then the outdated ones are removed.

    :meth:`save_within_epoch` is called by :class:`~mmfer.engine.hooks.interruption.InterruptionHook`, every so many
    minutes and when the run is told to stop. Of such checkpoints, `iter_<n>.pth`, only those are kept that are needed
    to have two of any kind.

    Args:
        *args: As of MMEngine's.
        max_keep_ckpts: How many epochs' checkpoints are kept; -1 for all. Two, so that one is left where the newest
            turns out to be damaged.
        minutes: Minutes after which a long epoch is saved in between; 0 for never.
        backend_args: Where to; defaults to this machine's files.
        **kwargs: As of MMEngine's.
    """

    keep_ckpt_ids: deque[int]
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def __init__(
        self,
        *args: Any,
        max_keep_ckpts: int = 2,
        minutes: float = 10.0,
        backend_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        if minutes < 0:
            raise ValueError(f'CheckpointHook.minutes must be at least 0, got {minutes}; 0 saves after epochs only')
        backend_args = backend_args or dict(backend=WHOLE)
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, backend_args=backend_args, **kwargs)
        self.minutes = minutes
        self.saved_at = -1
        """Iterations behind the newest checkpoint of this run."""

    def before_train(self, runner: Runner) -> None:
        """Looks for the best checkpoint in this folder, whatever it was called when it was noted."""
        noted = runner.message_hub.runtime_info
        for name in [name for name in noted if name.startswith('best_ckpt')]:
            noted[name] = str(Path(self.out_dir or runner.work_dir) / Path(noted[name]).name)
        super().before_train(runner)
        self.last_ckpt, self.saved_at = runner._load_from if runner._resume else None, runner.iter

    def save_within_epoch(self, runner: Runner) -> None:
        """Saves behind the iteration that is just done."""
        if not self.by_epoch:
            self._save_checkpoint(runner)
            return
        done = runner.iter + 1
        self._write(runner, f'iter_{done}.pth', dict(epoch=runner.epoch, iter=done))
        self._remove_within_epoch(max(2 - self._kept(), 1))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        outdated: list[int] = []
        if self.max_keep_ckpts > 0:
            steps = [*(kept for kept in self.keep_ckpt_ids if kept != step), step]
            outdated = steps[: -self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(steps[-self.max_keep_ckpts :])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self._write(runner, self.filename_tmpl.format(step), meta)
        if is_main_process():
            for step in outdated:
                self.file_backend.remove(Path(self.out_dir) / self.filename_tmpl.format(step))
        if self.by_epoch:
            self._remove_within_epoch(max(2 - self._kept(), 0))

    def _save_best_checkpoint(self, runner: Runner, metrics: Mapping[str, float]) -> None:
        several = len(self.key_indicators) > 1 if self.save_best else False
        before = dict(self.best_ckpt_path_dict) if several else {'': getattr(self, 'best_ckpt_path', None)}
        # What MMEngine does not know of it does not delete before it has written another.
        if several:
            self.best_ckpt_path_dict = dict.fromkeys(before)
        else:
            self.best_ckpt_path = None
        super()._save_best_checkpoint(runner, metrics)
        now = self.best_ckpt_path_dict if several else {'': self.best_ckpt_path}
        for key, path in before.items():
            if now[key] is None:
                now[key] = path
            elif path is not None and now[key] != path and is_main_process():
                self.file_backend.remove(path)
        if not several:
            self.best_ckpt_path = now['']

    def _write(self, runner: Runner, name: str, meta: dict[str, Any]) -> None:
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', path)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self.last_ckpt, self.saved_at = path, meta['iter']
        if is_main_process():
            self.file_backend.put_text(path, Path(runner.work_dir) / 'last_checkpoint')

    def _kept(self) -> int:
        return len(self.keep_ckpt_ids) if self.max_keep_ckpts > 0 else 2

    def _remove_within_epoch(self, keep: int) -> None:
        if not is_main_process() or not Path(self.out_dir).is_dir():
            return
        names = [(WITHIN_EPOCH.fullmatch(path.name), path) for path in Path(self.out_dir).iterdir()]
        found = {int(match[1]): path for match, path in names if match}
        for done in sorted(found, reverse=True)[keep:]:
            self.file_backend.remove(found[done])
