"""What a run's parts must agree on, checked before its first step."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmfer.datasets.bad_images import BadImage, bad_images_error, find_bad_images
from mmfer.datasets.files import name_a_few
from mmfer.datasets.landmark_check import off_image

_MOST_IMAGES = 2_000_000
"""Of a larger set a look at every image takes longer than a bad one is worth."""


def check_classes(runner: Runner) -> None:
    """The head scores as many classes as the training set has.

    Raises:
        ValueError: It does not.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    scores = getattr(getattr(model, 'head', None), 'num_classes', None)
    classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes')
    if scores and classes and scores != len(classes):
        raise ValueError(
            f'model.head.num_classes is {scores} but the training set has {len(classes)} classes '
            f'({", ".join(classes)}): set model.head.num_classes={len(classes)}'
        )


def check_batches(loader: DataLoader) -> None:
    """There is at least one batch to train on; with ``drop_last`` a small set may give none.

    Raises:
        ValueError: There is not.
    """
    if len(loader) == 0:
        raise ValueError(
            f'train_dataloader gives no batch: its {len(loader.sampler):,} faces a process do not fill '
            f'one of {loader.batch_size}; set a smaller train_dataloader.batch_size'
        )


def check_norm(loader: DataLoader, model: nn.Module) -> None:
    """Warns of batches of one face, which batch norm normalises by itself and evaluation otherwise."""
    if loader.batch_size is None or getattr(getattr(model, 'backbone', None), 'norm_eval', False):
        return
    norm = next((name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)), None)
    left = len(loader.sampler) % loader.batch_size
    if norm is None or not (loader.batch_size == 1 or (left == 1 and not loader.drop_last)):
        return
    which = 'every batch' if loader.batch_size == 1 else 'the last batch of an epoch'
    cure = 'a larger train_dataloader.batch_size' if loader.batch_size == 1 else 'train_dataloader.drop_last=True'
    print_log(
        f'{which} has one face a process, which batch norm ({norm}) normalises by itself, unlike in evaluation: '
        f'set {cure}',
        logger='current',
        level=logging.WARNING,
    )


def check_held_out(runner: Runner) -> None:
    """No face of the validation split is trained on.

    Raises:
        ValueError: Some are; usually the training set lacks the ``holdout`` of the validation set.
    """
    train, val = runner.train_dataloader.dataset, runner.val_dataloader.dataset
    held_out = _faces(val)
    shared = held_out & _faces(train)
    if shared:
        held = next((part.holdout for part in face_datasets(val) if part.holdout), None)
        holdout = f'holdout={dict(held)}' if held else 'a holdout'
        raise ValueError(
            f'{len(shared):,} of the {len(held_out):,} faces that val_dataloader evaluates are trained '
            f'on, too: give train_dataloader.dataset and val_dataloader.dataset the same {holdout}'
        )


def check_images(datasets: Sequence[Any]) -> None:
    """Every picture can be read, as far as its header and end tell; landmarks beside their picture are warned of.

    The main process looks, and all raise alike. Pictures in memory are in order, and bad ones were left out already
    where a dataset has ``on_bad_image='skip'``.

    Raises:
        ValueError: One list of all bad pictures of all datasets.
    """
    bad: list[BadImage] = []
    whose: list[str] = []
    for dataset in (part for whole in datasets if is_main_process() for part in face_datasets(whole)):
        columns, name = dataset.columns, f'{type(dataset).__name__} {dataset.split}'
        if 'image' in columns:
            size = np.broadcast_to(columns['image'].shape[2:0:-1], (len(dataset), 2))
        elif len(dataset) > _MOST_IMAGES:
            print_log(
                f'{name}: its {len(dataset):,} images are not checked beforehand; a bad one ends the run when '
                'its turn comes',
                logger='current',
            )
            continue
        else:
            found, size = find_bad_images(columns, dataset.image_folder, name, dataset.label_file)
            bad += found
            whose.append(f'{len(dataset):,} images that {name} lists')
        _warn_of_landmarks(columns, size, name)
    shared = [bad, whose]
    broadcast_object_list(shared)
    bad, whose = shared
    if bad:
        raise bad_images_error(bad, f'of the {" and ".join(whose)}')


def check_ranks_agree(dataset: Any) -> None:
    """Every process has the same faces in the same order; a sampler deals out row numbers.

    Raises:
        ValueError: Some process sees other files or labels.
    """
    if hasattr(dataset, 'fingerprint') and len(set(all_gather_object(dataset.fingerprint()))) > 1:
        raise ValueError('the processes have different training sets: make sure that they all see the same files')


def face_datasets(dataset: Any) -> Iterator[Any]:
    """The FaceDatasets in a dataset: itself, or what it is made of."""
    if getattr(dataset, 'columns', None):
        yield dataset
    for part in getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]:
        if part is not None:
            yield from face_datasets(part)


def _warn_of_landmarks(columns: dict[str, np.ndarray], size: np.ndarray, name: str) -> None:
    if 'landmarks' not in columns:
        return
    if 'box' in columns:
        size = columns['box'][:, 2:] - columns['box'][:, :2]
    beside = off_image(columns['landmarks'], size) & columns['landmark_valid']
    if beside.any():
        print_log(
            f'{name}: the landmarks of {beside.sum():,} of {len(beside):,} faces are not on their image (most '
            f'points beside it, or all in one spot): {name_a_few(columns["name"][beside].tolist())}; see that '
            'the landmark file belongs to these images and counts in their pixels, or give these rows score 0',
            logger='current',
            level=logging.WARNING,
        )


def _faces(dataset: Any) -> set[tuple[str, str]]:
    """Where each face is; nothing for datasets that are no FaceDataset."""
    return {(part.image_folder, name) for part in face_datasets(dataset) for name in part.columns['name'].tolist()}
