"""A config for the faces of a folder, where nobody has written one."""

from __future__ import annotations

import pprint
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfer.apis.config import read_config
from mmfer.datasets import FolderFaces
from mmfer.datasets.annotations.class_folders import find_folder
from mmfer.datasets.folder import FOLDERS
from mmfer.shipped import PREFIX, SHIPPED, find_config
from mmfer.structures.whole_files import written_whole

NETWORK = 'baseline/r18_folder_64px_20e.py'
CONFIG = 'config.py'


def write_folder_config(
    folder: Path, work_dir: Path, network: str = NETWORK, classes: Sequence[str] | None = None
) -> Path:
    """Writes a config that trains a network on the faces of a folder.

    Evaluated is the folder's own test split, else a tenth that is held out.

    Args:
        folder: Class folders, or `train` and `test` with class folders.
        work_dir: Where the config is written.
        network: The config whose network, augmentation and schedule are taken.
        classes: What folders that are named by numbers stand for. Defaults to None: folders have names.

    Returns:
        The file.

    Raises:
        FileNotFoundError: There is no class folder, or no such network.
        ValueError: It cannot be told which class a folder is, or the network's config has no training set.
    """
    cfg = read_config(network)
    if cfg.get('train_dataloader') is None or 'pipeline' not in cfg.train_dataloader.get('dataset', {}):
        raise ValueError(f'{network} has no train_dataloader.dataset with a pipeline, which says how faces are read')
    root = str(folder.resolve())
    metainfo = None if classes is None else dict(classes=_order(classes))
    try:
        faces = FolderFaces(root, metainfo=metainfo)
    except ValueError as error:
        if classes is None and 'metainfo' in str(error):
            raise ValueError(f'{error}; here with --classes') from None
        raise
    tested = faces.parted and find_folder(root, FOLDERS['test']) is not None
    asked = dict(metainfo=metainfo, holdout=None if tested else dict(fraction=0.1, seed=0))
    pipeline = Config(dict(steps=cfg.train_dataloader.dataset.pipeline)).to_dict()['steps']
    common = dict(_delete_=True, type='mmfer.FolderFaces', data_root=root, pipeline=pipeline, **asked)
    evaluated = dict(common, split='test' if tested else 'val', test_mode=True)
    keys: dict[str, Any] = dict(
        model=dict(head=dict(num_classes=len(faces.metainfo['classes']))),
        train_dataloader=dict(dataset=dict(common, split='train')),
        val_dataloader=dict(dataset=evaluated),
        test_dataloader=dict(dataset=evaluated),
    )
    lines = ['# Written by mmfer audit: the faces of a folder, and the network that is trained on them.']
    lines += [f'_base_ = {_base_of(network)!r}']
    lines += [f'{key} = {pprint.pformat(value, sort_dicts=False, width=100)}' for key, value in keys.items()]
    path = work_dir / CONFIG
    with written_whole(path, encoding='utf-8') as stream:
        stream.write('\n'.join(lines) + '\n')
    return path


def _base_of(network: str) -> str:
    path, shipped = find_config(network).resolve(), (SHIPPED / 'configs').resolve()
    return PREFIX + path.relative_to(shipped).as_posix() if path.is_relative_to(shipped) else str(path)


def _order(classes: Sequence[str]) -> str | list[str]:
    return classes[0] if len(classes) == 1 else list(classes)
