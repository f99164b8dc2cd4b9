"""What to type after a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmfer.apis.checkpoints.checkpoint_config import checkpoint_config
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.config import default_work_dir
from mmfer.commands import as_typed, of_checkpoint, read_again

CHOOSE_FACES = ('split', 'holdout', 'indices', 'label_noise', 'test_mode')
"""Settings of a validation set that say nothing of where the test set is."""


def next_command(runner: Runner, config: str, options: Sequence[str]) -> str | None:
    """The command that tests what a run has trained: the epoch that `select_on` chose, else the last one.

    Args:
        runner: The run, at its end.
        config: Its config, as typed.
        options: Its `--cfg-options`, as typed.

    Returns:
        The command; None where the run kept no checkpoint.
    """
    checkpoint = _checkpoint(runner)
    if checkpoint is None:
        return None
    tested = runner.cfg.get('test_dataloader') is not None and runner.cfg.get('test_evaluator') is not None
    if _is_enough(checkpoint):
        return of_checkpoint('test.py' if tested else 'predict.py', None, checkpoint)
    options = [*options, *_of_the_test_set(config, options)]
    if not tested:
        return of_checkpoint('predict.py', config, checkpoint, options=options)
    elsewhere = Path(runner.work_dir).absolute() != default_work_dir(config).absolute()
    more = ['--work-dir', as_typed(Path(runner.work_dir) / 'test')] if elsewhere else []
    return of_checkpoint('test.py', config, checkpoint, *more, options=options)


def _is_enough(checkpoint: Path) -> bool:
    """Whether the checkpoint can be read without its config, as one with a third party's parts cannot."""
    try:
        checkpoint_config(read_checkpoint(checkpoint), checkpoint)
    except ValueError:
        return False
    return True


def _checkpoint(runner: Runner) -> Path | None:
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    if hook is None:
        return None
    best = getattr(hook, 'best_ckpt_path', None) if runner.cfg.get('select_on') is not None else None
    return next((Path(path) for path in (best, hook.last_ckpt) if path and Path(path).is_file()), None)


def _of_the_test_set(config: str, options: Sequence[str]) -> list[str]:
    """Options of the validation set, for the test set: where it is, if the config has one for both."""
    cfg = read_again(config)
    if cfg is None:
        return []
    given = {option.split('=', 1)[0] for option in options}
    one = cfg.get('val_dataloader') and cfg.val_dataloader == cfg.get('test_dataloader')
    if not one or given & {'val_dataloader', 'test_dataloader'}:
        return []
    twins = [option.replace('val_', 'test_', 1) for option in options if option.startswith('val_dataloader.')]
    return [
        twin
        for twin in twins
        if twin.split('=', 1)[0] not in given and not set(twin.split('=', 1)[0].split('.')) & set(CHOOSE_FACES)
    ]
