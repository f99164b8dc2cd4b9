"""That pictures can be read and landmarks are those of upright faces, as far as a first look tells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmfer.datasets.images.bad_images import BadImage, bad_images_error, find_bad_images
from mmfer.datasets.landmarks.check import in_corner, off_image
from mmfer.datasets.landmarks.posture import NEARLY_ALL, SOME, posture
from mmfer.datasets.landmarks.posture_fault import exchange_command, posture_sentence
from mmfer.datasets.reading.files import name_a_few
from mmfer.engine.dataset_parts import face_datasets

_MOST_IMAGES = 2_000_000
"""Of a larger set a look at every image takes longer than a bad one is worth."""


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
    sizes = [np.empty((0, 2), dtype=np.int32) for _ in datasets]
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
            size = np.broadcast_to(np.zeros(2, dtype=np.int64), (len(dataset), 2))
        else:
            found, size = find_bad_images(columns, dataset.image_folder, name, dataset.label_file)
            bad += found
            whose.append(f'{len(dataset):,} images that {name} lists')
        if 'box' in columns:
            size = columns['box'][:, 2:] - columns['box'][:, :2]
        wrong += _look_at_landmarks(dataset, size, name)
        stored = columns['ori_shape'][:, ::-1] if 'ori_shape' in columns else size  # packed ones were resized
        known = stored[(stored > 0).all(1)].astype(np.int32)
        sizes[which] = np.concatenate([sizes[which], known]) if len(sizes[which]) else known
    shared: list[Any] = [bad, whose, wrong]
    broadcast_object_list(shared)
    bad, whose, wrong = shared
    if bad:
        raise bad_images_error(bad, f'of the {" and ".join(whose)}')
    if wrong:
        raise ValueError('; '.join(wrong))
    return sizes


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
