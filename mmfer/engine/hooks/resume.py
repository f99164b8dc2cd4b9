"""Resumes a run whose settings were changed as those settings say, not as the checkpoint does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmfer.engine.epoch_loop import ResumableEpochLoop
from mmfer.engine.resuming import check_goes_on, differences, iterations_within, reschedule, schedule_settings
from mmfer.registry import HOOKS


@HOOKS.register_module()
class ResumeHook(Hook):
    """Makes a resumed run go on with its own settings, and refuses what it cannot go on with.

    MMEngine takes learning rates, the end of their schedule, the optimizer's settings and the number of iterations
    from the checkpoint. Where nothing was changed these are right, and the resumed run repeats the uninterrupted one.
    Where the config now says other epochs, batches, processes, schedulers or settings of the optimizer, the run goes on
    from the checkpoint's place as a run with the present settings would from there on, and the log says what differs.
    Within an epoch that place is the number of faces it has behind it.

    What the settings were is kept in the checkpoint under a key of its own.
    """

    priority = 'VERY_HIGH'  # others read what it corrects
    KEY = 'mmfer_schedule'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keeps the settings, and which faces they were used on."""
        checkpoint[self.KEY] = _facts(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compares, corrects, or refuses.

        Raises:
            ValueError: The checkpoint is of another network, other faces, another optimizer, or beyond the last epoch.
        """
        if not runner._resume:
            return
        facts = _facts(runner)
        saved = checkpoint.get(self.KEY) or {}
        check_goes_on(runner, checkpoint, saved, facts)
        meta = checkpoint['meta']
        _keep_seed(runner, meta)
        if saved.get('chooses', facts['chooses']) != facts['chooses']:
            for name in ('best_score', 'best_ckpt'):
                checkpoint['message_hub']['runtime_info'].pop(name, None)
            runner.logger.warning('another metric chooses the best epoch than before: the best is chosen from here on')
        self._go_on(runner, checkpoint, saved.get('settings', {}), facts['settings'])
        steps = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if meta['iter'] % steps:
            runner.logger.warning(
                f'accumulative_counts={steps} does not divide the {meta["iter"]} iterations behind the checkpoint: the '
                'gradients gathered since the last step are not in it, so the first step after it differs'
            )

    def _go_on(
        self, runner: Runner, checkpoint: dict[str, Any], saved: Mapping[str, Any], now: Mapping[str, Any]
    ) -> None:
        meta, by_epoch = checkpoint['meta'], isinstance(runner.train_loop, EpochBasedTrainLoop)
        changed = differences(saved, now)
        if changed and not saved:
            changed = 'it does not say what its settings were'
        within = iterations_within(meta, saved, now) if by_epoch else 0
        if within and not isinstance(runner.train_loop, ResumableEpochLoop):
            within, changed = (
                0,
                changed or f'it was saved within an epoch, which {type(runner.train_loop).__name__} begins anew',
            )
        if not changed:
            return
        was = checkpoint['optimizer']['param_groups'][0]['lr']
        reschedule(runner, checkpoint, changed, within)
        rate = checkpoint['optimizer']['param_groups'][0]['lr']
        place = f'epoch {meta["epoch"]}' + f' and {within} iterations' * bool(within)
        runner.logger.warning(
            f'resumed with other settings than those of the checkpoint: {changed}. The run goes on behind '
            f'{place if by_epoch else "iteration " + str(meta["iter"])} as a run with the present settings would, with '
            f'a learning rate of {rate:.4g} (the checkpoint: {was:.4g})'
        )


def _facts(runner: Runner) -> dict[str, Any]:
    """What a resumed run is compared by, in plain values."""
    loaders = dict(train=runner.train_dataloader, val=runner.val_loop.dataloader if runner.val_loop else None)
    faces = {name: loader.dataset.fingerprint() for name, loader in loaders.items() if _has_faces(loader)}
    chooses = next((hook.save_best for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    return dict(
        settings=schedule_settings(runner),
        faces=faces,
        optimizer=type(getattr(runner.optim_wrapper, 'optimizer', None)).__name__,
        chooses=str(chooses),
    )


def _has_faces(loader: Any) -> bool:
    return loader is not None and hasattr(loader.dataset, 'fingerprint')


def _keep_seed(runner: Runner, meta: dict[str, Any]) -> None:
    """MMEngine takes the checkpoint's seed, but the sampler was built before it did."""
    seed = meta.get('seed')
    if seed is None or seed == runner.seed:
        return
    sampler = runner.train_dataloader.sampler
    if hasattr(sampler, 'seed'):
        sampler.seed = seed
    runner.logger.warning(f'the run goes on with the seed of the checkpoint, {seed}, not with {runner.seed}')
