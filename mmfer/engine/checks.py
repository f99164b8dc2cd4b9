"""What a run's parts must agree on, checked before its first step."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmfer.datasets.images.bad_images import BadImage, bad_images_error, find_bad_images
from mmfer.datasets.labels.schema import canonical, check_same_order
from mmfer.datasets.landmarks.check import in_corner, off_image
from mmfer.datasets.landmarks.posture import NEARLY_ALL, SOME, exchange_command, posture, posture_sentence
from mmfer.datasets.reading.files import name_a_few

_MOST_IMAGES = 2_000_000
"""Of a larger set a look at every image takes longer than a bad one is worth."""


def check_classes(runner: Runner) -> None:
    """The head scores the classes of the training set, and every dataset counts them in the same order.

    Raises:
        ValueError: It does not, or a dataset counts other classes, or the same in another order.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    scores = getattr(getattr(model, 'head', None), 'num_classes', None)
    classes = _classes(runner.train_dataloader.dataset)
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
    classes = _classes(dataset)
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
    classes = _classes(runner.train_dataloader.dataset)
    if before and classes and (runner._resume or sorted(map(canonical, before)) == sorted(map(canonical, classes))):
        check_same_order(before, classes, 'train_dataloader.dataset')


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


def check_images(datasets: Sequence[Any]) -> list[np.ndarray]:
    """Every picture can be read, as far as its header and end tell, and landmarks are those of upright faces.

    Landmarks beside their picture, and some that do not stand upright, are warned of.

    The main process looks, and all raise alike. Pictures in memory are in order, and bad ones were left out already
    where a dataset has ``on_bad_image='skip'``.

    Returns:
        Of each dataset the (width, height) of its faces [n, 2], of those that were looked at; none on other processes.

    Raises:
        ValueError: One list of all bad pictures of all datasets; or nearly all landmarks of a training set are wrong.
    """
    bad: list[BadImage] = []
    whose: list[str] = []
    wrong: list[str] = []
    sizes = [np.empty((0, 2), dtype=np.int64) for _ in datasets]
    parts = [(i, part) for i, whole in enumerate(datasets) if is_main_process() for part in face_datasets(whole)]
    for which, dataset in parts:
        columns, name = dataset.columns, f'{type(dataset).__name__} {dataset.split}'
        if 'image' in columns:
            size = np.broadcast_to(columns['image'].shape[2:0:-1], (len(dataset), 2))
        elif len(dataset) > _MOST_IMAGES:
            print_log(
                f'{name}: its {len(dataset):,} images are not checked beforehand; a bad one ends the run when '
                'its turn comes',
                logger='current',
            )
            size = np.zeros((len(dataset), 2), dtype=np.int64)
        else:
            found, size = find_bad_images(columns, dataset.image_folder, name, dataset.label_file)
            bad += found
            whose.append(f'{len(dataset):,} images that {name} lists')
        if 'box' in columns:
            size = columns['box'][:, 2:] - columns['box'][:, :2]
        wrong += _look_at_landmarks(dataset, size, name)
        stored = columns['ori_shape'][:, ::-1] if 'ori_shape' in columns else size  # packed ones were resized
        sizes[which] = np.concatenate([sizes[which], stored[(stored > 0).all(1)]])
    shared = [bad, whose, wrong]
    broadcast_object_list(shared)
    bad, whose, wrong = shared
    if bad:
        raise bad_images_error(bad, f'of the {" and ".join(whose)}')
    if wrong:
        raise ValueError('; '.join(wrong))
    return sizes


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


def _look_at_landmarks(dataset: Any, size: np.ndarray, name: str) -> list[str]:
    """Warns of some wrong landmarks; returns what is wrong with nearly all."""
    columns = dataset.columns
    if 'landmarks' not in columns or not columns['landmark_valid'].any():
        return []
    valid = columns['landmark_valid']
    points, size, names = columns['landmarks'][valid], size[valid], columns['name'][valid]
    beside = off_image(points, size)
    if beside.any():
        nearly_all = beside.mean() >= NEARLY_ALL and not dataset.test_mode
        sentence = (
            f'{name}: the landmarks of {beside.sum():,} of {len(valid):,} faces are not on their image (most '
            f'points beside it, or all in one spot): {name_a_few(names[beside].tolist())}; see that '
            'the landmark file belongs to these images and counts in their pixels, or '
            + ('train without them: landmarks=None' if nearly_all else 'give these rows score 0')
        )
        if nearly_all:  # nothing would be left to learn from them
            return [sentence]
        _warn(sentence)
    elif in_corner(points, size).mean() >= NEARLY_ALL:
        _warn(
            f'{name}: the landmarks of nearly all faces lie in the upper left corner of their image: see that the '
            'landmark file counts in pixels of these images, not of smaller ones'
        )
    found = posture(points)
    if not found.fault and found.odd.mean() < SOME:
        return []
    exchange = exchange_command(dataset.landmarks, dataset.data_root)
    sentence = posture_sentence(found, names.tolist(), name, exchange)
    if found.fault and not dataset.test_mode:
        return [sentence]
    _warn(sentence)
    return []


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)


def _classes(dataset: Any) -> Sequence[str] | None:
    return (getattr(dataset, 'metainfo', None) or {}).get('classes')
