"""That a network and all datasets count the same classes in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmfer.datasets.labels.schema import canonical, check_same_order
from mmfer.engine.dataset_parts import classes_of


def check_classes(runner: Runner) -> None:
    """The head scores the classes of the training set, and every dataset counts them in the same order.

    Raises:
        ValueError: It does not, or a dataset counts other classes, or the same in another order.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    scores = getattr(getattr(model, 'head', None), 'num_classes', None)
    classes = classes_of(runner.train_dataloader.dataset)
    if scores and classes and scores != len(classes):
        raise ValueError(
            f'model.head.num_classes is {scores} but the training set has {len(classes)} classes '
            f'({", ".join(classes)}): set model.head.num_classes={len(classes)}'
        )
    check_dataset_classes(runner.train_dataloader.dataset, classes, 'train_dataloader.dataset')
    if runner.val_loop is not None:
        check_dataset_classes(runner.val_dataloader.dataset, classes, 'val_dataloader.dataset')


def check_dataset_classes(dataset: Any, trained: Sequence[str] | None, key: str) -> None:
    """A dataset, and whatever it is made of, counts its classes in the order that was trained.

    Args:
        dataset: A dataset, read already.
        trained: The classes in the order of the network's scores; None where they have no names.
        key: Where the dataset stands in the config.

    Raises:
        ValueError: It counts others, or in another order.
    """
    parts = getattr(dataset, 'datasets', None)
    classes = classes_of(dataset)
    if trained and classes and not parts:
        check_same_order(trained, classes, key)
    for i, part in enumerate(parts or []):
        check_dataset_classes(part, trained, f'{key}.datasets.{i}')
    if getattr(dataset, 'dataset', None) is not None:
        check_dataset_classes(dataset.dataset, trained, f'{key}.dataset')


def check_loaded_classes(runner: Runner, checkpoint: Mapping[str, Any]) -> None:
    """The weights that a run starts from do not count its classes in another order.

    Weights of other classes may be a start; a resumed run goes on with its own.

    Raises:
        ValueError: They do, or a run is to be resumed whose classes were others.
    """
    before = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    classes = classes_of(runner.train_dataloader.dataset)
    if before and classes and (runner._resume or sorted(map(canonical, before)) == sorted(map(canonical, classes))):
        check_same_order(before, classes, 'train_dataloader.dataset')
