"""What a run's parts must agree on, checked before its first step."""
from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch.utils.data import DataLoader


def check_classes(runner: Runner) -> None:
    """The head scores as many classes as the training set has.

    Raises:
        ValueError: It does not.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    scores = getattr(getattr(model, 'head', None), 'num_classes', None)
    classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes')
    if scores and classes and scores != len(classes):
        raise ValueError(f'model.head.num_classes is {scores} but the training set has {len(classes)} classes '
                         f'({", ".join(classes)}): set model.head.num_classes={len(classes)}')


def check_batches(loader: DataLoader) -> None:
    """There is at least one batch to train on; with ``drop_last`` a small set may give none.

    Raises:
        ValueError: There is not.
    """
    if len(loader) == 0:
        raise ValueError(f'train_dataloader gives no batch: its {len(loader.sampler):,} faces a process do not fill '
                         f'one of {loader.batch_size}; set a smaller train_dataloader.batch_size')


def check_held_out(runner: Runner) -> None:
    """No face of the validation split is trained on.

    Raises:
        ValueError: Some are; usually the training set lacks the ``holdout`` of the validation set.
    """
    train, val = runner.train_dataloader.dataset, runner.val_dataloader.dataset
    held_out = _faces(val)
    shared = held_out & _faces(train)
    if shared:
        holdout = f'holdout={dict(val.holdout)}' if getattr(val, 'holdout', None) else 'a holdout'
        raise ValueError(f'{len(shared):,} of the {len(held_out):,} faces that val_dataloader evaluates are trained '
                         f'on, too: give train_dataloader.dataset and val_dataloader.dataset the same {holdout}')


def _faces(dataset: Any) -> set[tuple[str, str]]:
    """Where each face is; nothing for datasets that are no FaceDataset."""
    names = (getattr(dataset, 'columns', None) or {}).get('name')
    return set() if names is None else {(dataset.image_folder, name) for name in names.tolist()}
