"""What may choose an epoch: nothing, unless ``select_on`` says by which faces."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.runner import Runner

from mmfer.datasets.images.face_places import shared_rows
from mmfer.engine.checks.held_out import set_to_test
from mmfer.engine.dataset_parts import classes_of, face_datasets, split_of
from mmfer.evaluation.protocol import HEADLINE

SELECTED_ON_TEST = (
    "select_on='test': the epoch is chosen on the test set, so its figure is no estimate for unseen "
    'faces; report last and the mean of the last 5 beside it'
)


def check_selection(runner: Runner, select_on: str | None, metric: str) -> None:
    """Nothing chooses on the sly, and what may choose does so by the faces that ``select_on`` names.

    Args:
        runner: A run that validates.
        select_on: None, 'val' or 'test'.
        metric: What 'best' means.

    Raises:
        ValueError: ``select_on`` does not fit the evaluated split, something selects although it is None, or no run
            has such a metric.
    """
    val = runner.val_dataloader.dataset
    known = [*HEADLINE, *(f'recall/{name}' for name in classes_of(val) or ())]
    if metric not in known and len(runner.val_evaluator.metrics) == 1:
        raise ValueError(f'ProtocolHook(metric={metric!r}) is no figure of a run; choose one of {", ".join(known)}')
    chooser = next((hook for hook in runner.hooks if _chooses(hook)), None)
    if select_on is None and chooser is not None:
        what = 'it' if isinstance(chooser, EarlyStoppingHook) else 'its save_best'
        raise ValueError(
            f'{type(chooser).__name__} chooses an epoch by validation metrics but select_on is None: '
            f"take {what} out, or say select_on='val' (or 'test') in the config"
        )
    if select_on is not None:
        _check_role(runner, val, select_on)


def _check_role(runner: Runner, val: Any, select_on: str) -> None:
    """What chooses is what `select_on` says; some sets' only public test faces are called validation."""
    test, split = set_to_test(runner), split_of(val)
    same = val is test or shared_rows(face_datasets(val), face_datasets(test)).any()
    role = 'test' if same else split
    if role in ('val', 'test') and role != select_on:
        cure = (
            'split="val" in val_dataloader.dataset and the same holdout=dict(fraction=.1, seed=0) there and in '
            'train_dataloader.dataset, or '
        )
        what = f'split {split!r}' if role == split else 'the faces of test_dataloader'
        raise ValueError(
            f'select_on={select_on!r} but val_dataloader evaluates {what}: set '
            f'{cure if select_on == "val" else ""}select_on={role!r}'
        )


def _chooses(hook: Hook) -> bool:
    return isinstance(hook, EarlyStoppingHook) or (isinstance(hook, CheckpointHook) and bool(hook.save_best))
