"""What is audited: all training faces of a config, in a work folder that belongs to this audit alone."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmfer.datasets import FaceDataset
from mmfer.evaluation import write_report
from mmfer.structures.ranges import check_range

FEWEST_FACES = 50
REPORT = 'audit.json'


def audited_set(cfg: Config, folds: int) -> FaceDataset:
    """All training faces of a config with their observed labels, those that it holds out for validation, too.

    Raises:
        ValueError: The config has no training set of mmfer, or one that is made of several or of chosen rows, or there
            are too few faces.
        FileNotFoundError: The faces are not there.
    """
    check_range('--folds', folds, 2, whole=True)
    settings = (cfg.get('train_dataloader') or {}).get('dataset')
    if settings is None or cfg.get('model') is None:
        missing = 'train_dataloader.dataset' if settings is None else 'model'
        raise ValueError(f'{cfg.filename} has no {missing}: there is no training to audit the labels of')
    if 'dataset' in settings or 'datasets' in settings:
        raise ValueError(
            f'{settings.type} holds other data sets, and labels are audited of one at a time: give a config with that '
            'one as train_dataloader.dataset'
        )
    if settings.get('indices') is not None:
        raise ValueError(
            'train_dataloader.dataset.indices chooses some of the faces, and an audit is of all: take it out with '
            '--cfg-options train_dataloader.dataset.indices=None'
        )
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        dataset = DATASETS.build({**copy.deepcopy(settings), 'holdout': None})
    if not isinstance(dataset, FaceDataset) or dataset.split != 'train':
        raise ValueError(
            f'train_dataloader.dataset is {settings.type} with split={getattr(dataset, "split", None)!r}, and an audit '
            "is of the split 'train' of a data set of mmfer"
        )
    dataset.full_init()
    check_enough(dataset, folds)
    return dataset


def check_enough(dataset: FaceDataset, folds: int) -> None:
    """Every fold can have faces of every class.

    Raises:
        ValueError: There are too few.
    """
    classes = dataset.metainfo['classes']
    counts = np.bincount(dataset.get_gt_labels(), minlength=len(classes))
    where = f'{dataset.data_root or type(dataset).__name__} has'
    if (counts > 0).sum() < 2:
        only = classes[int(counts.argmax())]
        raise ValueError(f'{where} faces of one class only ({only}): a wrong label is one of another class')
    if counts.sum() < FEWEST_FACES:
        raise ValueError(
            f'{where} {counts.sum()} faces, from which no network learns: an audit needs {FEWEST_FACES} or more; look '
            'at so few yourself'
        )
    rare = [f'{name} {count}' for name, count in zip(classes, counts, strict=True) if 0 < count < folds]
    if rare:
        least = int(counts[counts > 0].min())
        fewer = f'ask for fewer folds (--folds {least}), ' if least > 1 else ''
        raise ValueError(
            f'{where} fewer faces of a class than folds ({folds}): {", ".join(rare)}; {fewer}add faces, or leave the '
            'class out with drop_classes and metainfo=dict(classes=...)'
        )


def claim_folder(cfg: Config, dataset: FaceDataset, folds: int, seed: int) -> dict[str, Any]:
    """Writes into the work folder what is audited there, so that what a killed audit has found is gone on from.

    Returns:
        What `audit.json` says: config, faces, folds, seed, and a hash of settings and labels.

    Raises:
        ValueError: There is another audit in it.
    """
    settings = {key: value for key, value in cfg.to_dict().items() if key not in ('work_dir', 'resume')}
    text = json.dumps([settings, dataset.fingerprint(), folds, seed], sort_keys=True, default=repr)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = Path(cfg.work_dir) / REPORT
    try:
        before = json.loads(path.read_text(encoding='utf-8')).get('sha256')
    except (OSError, ValueError, AttributeError):
        before = None
    if before not in (None, digest):
        raise ValueError(
            f'{cfg.work_dir} has an audit of other labels or with other settings (config, folds or seed): name another '
            'folder with --work-dir, or delete this one'
        )
    said = dict(config=str(cfg.filename), faces=len(dataset), folds=folds, seed=seed, sha256=digest)
    if before is None:
        write_report(said, path)
    return said
