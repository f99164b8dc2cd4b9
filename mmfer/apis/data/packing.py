"""Packs the images of a config's datasets: decoded once, read at once ever after."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmfer.apis.dataset_configs import dataset_configs
from mmfer.datasets import FaceDataset, LoadFace
from mmfer.datasets.packing.pack_file import Columns, join_names, write_pack
from mmfer.datasets.packing.packed import content_hash, file_stamps
from mmfer.machine import usable_cores
from mmfer.progress import ProgressBar

Face = tuple[FaceDataset, int]
"""A dataset and a row of it."""


@dataclass(frozen=True)
class Packed:
    """What `pack` did.

    Args:
        images: How many the file holds.
        size: Their height and width.
        datasets: Keys of the datasets that it holds, such as 'train_dataloader.dataset'.
        written: Whether it was written; not where it was there and up to date.
    """

    images: int
    size: tuple[int, int]
    datasets: tuple[str, ...]
    written: bool


def pack(
    cfg: Config,
    path: str | Path,
    splits: Sequence[str] = ('train', 'val', 'test'),
    size: int | None = None,
    workers: int | None = None,
) -> Packed:
    """Writes the images of a config's datasets into one file, as `LoadFace` makes them; goes on where it was cut off.

    All rows of a dataset's own split are packed, in the order of its label file and with its labels: label noise,
    holdout, other orders of the classes and choices of rows are made when it reads them.

    Args:
        cfg: The config.
        path: The file to write.
        splits: Whose dataloaders' datasets to pack.
        size: Side of the packed images. Defaults to None: what the pipeline's `LoadFace` asks for.
        workers: Threads that decode. Defaults to None: one a core.

    Raises:
        ValueError: There is nothing to pack, the images lie in several folders, or one of them cannot be read.
    """
    datasets = {key: _whole(key, _build(cfg, key, settings)) for key, settings in dataset_configs(cfg, splits)}
    if not datasets:
        loaders = ' or '.join(f'{split}_dataloader' for split in splits)
        raise ValueError(f'the config has no dataset to pack in {loaders}')
    shape = _shape(datasets, size)
    faces = _faces(datasets)
    known, landmarks = _known(faces), _landmarks(faces)
    found = dict(hash=np.zeros(len(faces), np.int64), ori_shape=np.zeros((len(faces), 2), np.int32))
    digest = hashlib.sha256(b''.join(known[key].tobytes() for key in sorted(known)))
    if landmarks is not None:
        digest.update(landmarks.tobytes())
        found |= dict(landmarks=np.zeros_like(landmarks), landmark_valid=np.zeros(len(faces), np.uint8))
    metadata = dict(classes=json.dumps(faces[0][0].source_classes), opencv=cv2.__version__, source=digest.hexdigest())
    load = LoadFace(shape)

    def decode_one(face: Face) -> tuple[np.ndarray, dict[str, Any]]:
        dataset, index = face
        info = load.transform(dataset.get_data_info(index))
        row = dict(hash=content_hash(Path(info['img_path']).read_bytes()), ori_shape=info['ori_shape'])
        if landmarks is not None:
            points = info.get('landmarks', np.zeros(landmarks.shape[1:], np.float32))
            row |= dict(landmarks=points, landmark_valid=info.get('landmark_valid', False))
        return info['img'].transpose(2, 0, 1), row

    with ThreadPoolExecutor(workers or usable_cores()) as pool, ExitStack() as stack:
        bars: list[ProgressBar] = []

        def decode(first: int, last: int) -> tuple[np.ndarray, Columns]:
            images, rows = zip(*pool.map(decode_one, faces[first:last]), strict=True)
            return np.stack(images), {key: np.array([row[key] for row in rows]) for key in found}

        def progress(done: int) -> None:
            if not bars:  # at the start: what an earlier run did says nothing about this one's rate
                bars.append(
                    stack.enter_context(ProgressBar(total=len(faces), initial=done, desc='Packing', unit='face'))
                )
            bars[0].update(done - bars[0].n)

        written = write_pack(path, known, found, shape, metadata, decode, progress)
    return Packed(len(faces), shape, tuple(datasets), written)


def _build(cfg: Config, key: str, settings: Mapping[str, Any]) -> FaceDataset:
    """A dataset without its annotations yet."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        built = DATASETS.build({**settings, 'lazy_init': True})
    if not isinstance(built, FaceDataset):
        raise ValueError(
            f'{key} is a {type(built).__name__}, which cannot read packed images: only datasets of mmfer can'
        )
    return built


def _whole(key: str, dataset: FaceDataset) -> FaceDataset:
    """All rows of the split that the source has, with its labels and classes."""
    whole = copy.copy(dataset)
    whole.label_noise = whole.holdout = whole.packed = whole._indices = None
    whole.drop_classes, whole._metainfo = (), {}
    whole.full_init()
    if 'image' in whole.columns:
        raise ValueError(
            f'{key} is {type(dataset).__name__}, whose images are in memory already: there is nothing to pack'
        )
    return whole


def _shape(datasets: Mapping[str, FaceDataset], size: int | None) -> tuple[int, int]:
    """Height and width to pack: as wanted, or else what the pipelines ask for."""
    if size is not None:
        return size, size
    asked = {
        step.size for dataset in datasets.values() for step in dataset.pipeline.transforms if isinstance(step, LoadFace)
    }
    if len(asked) != 1 or None in asked:
        sizes = ' and '.join(sorted(str(size) for size in asked)) or 'nothing'
        raise ValueError(
            f'the pipelines of {", ".join(datasets)} ask LoadFace for the sizes {sizes}: give --size, or '
            'pack one of them with --split'
        )
    return asked.pop()


def _faces(datasets: Mapping[str, FaceDataset]) -> list[Face]:
    """Every face once; those that splits share, as with a holdout, are the first one's."""
    places = {
        (os.path.realpath(dataset.image_folder), dataset.source_classes): key for key, dataset in datasets.items()
    }
    if len(places) > 1:
        where = ' and '.join(f'{key} has {", ".join(classes)} in {folder}' for (folder, classes), key in places.items())
        raise ValueError(
            f'a pack has the images of one folder with one set of classes, but {where}: pack them one by '
            'one, with --split, or with a config for each'
        )
    faces: dict[str, Face] = {}
    for dataset in datasets.values():
        for index, name in enumerate(dataset.columns['name'].tolist()):
            faces.setdefault(name, (dataset, index))
    return list(faces.values())


def _known(faces: Sequence[Face]) -> Columns:
    """What the pack says of its faces before it has seen them."""
    names = [str(dataset.columns['name'][row]) for dataset, row in faces]
    files = [str(dataset.columns.get('file', dataset.columns['name'])[row]) for dataset, row in faces]
    size, time = file_stamps(faces[0][0].image_folder, files)
    label = np.array([dataset.columns['label'][row] for dataset, row in faces], np.int64)
    known = dict(name=join_names(names), label=label, bytes=size, mtime=time)
    if 'box' in faces[0][0].columns:
        known['box'] = np.array([dataset.columns['box'][row] for dataset, row in faces], np.int32)
    return known


def _landmarks(faces: Sequence[Face]) -> np.ndarray | None:
    """Points float32 [N, 68, 2] in pixels of the files, zero for faces without; None where no face has any."""
    like = next((dataset.columns['landmarks'][0] for dataset, _ in faces if dataset.has_landmarks), None)
    if like is None:
        return None
    return np.stack(
        [dataset.columns['landmarks'][row] if dataset.has_landmarks else np.zeros_like(like) for dataset, row in faces]
    )
