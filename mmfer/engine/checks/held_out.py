"""That no face is evaluated which was trained on."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmengine.runner import Runner

from mmfer.datasets.images.face_places import shared_rows
from mmfer.engine.dataset_parts import face_datasets


def check_held_out(runner: Runner) -> None:
    """No face of the validation or test set of a run is trained on, see :func:`check_apart`."""
    val = None if runner.val_loop is None else runner.val_dataloader.dataset
    check_apart(runner.train_dataloader.dataset, dict(val_dataloader=val, test_dataloader=set_to_test(runner)))


def check_apart(train: Any, evaluated: Mapping[str, Any]) -> None:
    """No face that is evaluated is trained on, unless it is said to be: a data set of split 'train' may have any.

    Args:
        train: The training set.
        evaluated: The others by the name of their loader; None where there is none.

    Raises:
        ValueError: Some are; usually the training set lacks the ``holdout`` of the validation set, or a csv has no
            column that parts them.
    """
    trained = list(face_datasets(train))
    for part, earlier in ((part, trained[:i]) for i, part in enumerate(trained) if i):
        again = shared_rows([part], earlier).sum()
        if again:
            print_log(
                f'{type(part).__name__} in {part.data_root!r} has {again:,} faces that another data set of '
                'train_dataloader has already: each counts twice, and what is remembered of it is kept twice',
                logger='current',
                level=logging.WARNING,
            )
    for loader, dataset in evaluated.items():
        both = list(face_datasets(dataset))
        parts = [part for part in both if part.split != 'train']
        shared = shared_rows(parts, trained)
        if shared.any():
            raise ValueError(
                f'{shared.sum():,} of the {len(shared):,} faces that {loader} evaluates are trained on, too: '
                + _cure(loader, parts)
            )
        shared = shared_rows([part for part in both if part.split == 'train'], trained)
        if shared.any():
            print_log(
                f"{loader} evaluates {shared.sum():,} faces that are trained on, as its split='train' says: these "
                'figures say nothing of unseen faces',
                logger='current',
                level=logging.WARNING,
            )


def _cure(loader: str, parts: Sequence[Any]) -> str:
    held = next((part.holdout for part in parts if part.holdout), None)
    if held:
        return f'give train_dataloader.dataset and {loader}.dataset the same holdout={dict(held)}'
    whole = next((part for part in parts if not part.parted), None)
    on_purpose = f"to evaluate faces that were trained on, say {loader}.dataset.split='train'"
    if whole is not None and whole.label_file is None:
        return (
            f'{whole.data_root} has no folder for each split, so that all of its faces are in every split; give '
            f'train_dataloader.dataset and {loader}.dataset the same holdout=dict(fraction=.1, seed=0) and say '
            f"{loader}.dataset.split='val', or sort them into train and test; {on_purpose}"
        )
    if whole is not None:
        return (
            f'{whole.label_file} has no column split, so that all of its rows are in every split; add one that says '
            f'train, val or test, or name another file with {loader}.dataset.ann_file; {on_purpose}'
        )
    return (
        f'take them out of one of the two, or give train_dataloader.dataset and {loader}.dataset the same '
        f"holdout=dict(fraction=.1, seed=0) and say {loader}.dataset.split='val'; {on_purpose}"
    )


def set_to_test(runner: Runner) -> Any:
    """What test_dataloader evaluates, without building the loader; None where it is not there.

    Test data may be missing while a network is trained.
    """
    loaders = [runner.cfg.get(f'{name}_dataloader') or {} for name in ('val', 'test')]
    settings = [loader.get('dataset') for loader in loaders]
    if runner.val_loop is not None and settings[1] is not None and settings[0] == settings[1]:
        return runner.val_dataloader.dataset
    if not isinstance(settings[1], Mapping) or 'type' not in settings[1]:
        return None
    return _build(settings[1])


def check_tested(settings: Any, test: Any) -> None:
    """Where a data set that is tested does not itself say which faces these are, they are none of the training set.

    Args:
        settings: The training set's, which is read for it only where that is so, and may not be there.
        test: What is tested.

    Raises:
        ValueError: Some are trained on.
    """
    whole = any(not part.parted and part.split != 'train' for part in face_datasets(test))
    if whole and isinstance(settings, Mapping):
        check_apart(_build(settings), dict(test_dataloader=test))


def _build(settings: Mapping[str, Any]) -> Any:
    try:
        dataset = DATASETS.build(copy.deepcopy(settings))
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        return dataset
    except FileNotFoundError as error:
        print_log(
            f'whether test_dataloader evaluates faces that are trained on is not checked: {error}', logger='current'
        )
        return None
