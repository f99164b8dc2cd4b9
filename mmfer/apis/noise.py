"""Label noise for a config's training set, as a manifest: drawn, from a model's confusion, or from a list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmfer.apis.beliefs import Track, predict
from mmfer.apis.config import read_config
from mmfer.apis.inspection import read_run
from mmfer.datasets.label_noise import instance_noise, noisy_labels
from mmfer.datasets.label_schema import label_map
from mmfer.datasets.noise_lists import read_noise_list
from mmfer.datasets.noise_manifest import NoiseManifest

WITHOUT = {f'train_dataloader.dataset.{key}': None for key in ('label_noise', 'holdout', 'indices', 'landmarks')}
"""Noise is of all training faces with the labels of their files, whichever of them a run then leaves out."""


def draw_manifest(config: str | Path, options: Mapping[str, Any] | None, noise: Mapping[str, Any]) -> NoiseManifest:
    """Draws symmetric or asymmetric noise, the very one that `label_noise=noise` gives.

    Args:
        config: A config file.
        options: Values by dotted key, as `--cfg-options` gives them.
        noise: Parameters of `noisy_labels`: kind, rate, seed, confusions.
    """
    names, clean, classes = labels_of(training_set(read_config(config, options)))
    return NoiseManifest(names, clean, noisy_labels(clean, classes, **noise), classes,
                         {**noise, 'seed': noise.get('seed', 0)})


def confused_manifest(config: str | Path, options: Mapping[str, Any] | None, checkpoints: Sequence[str | Path],
                      rate: float, seed: int = 0,
                      track: Track = lambda batches, _total: batches) -> NoiseManifest:
    """Makes instance-dependent noise from the predictions of a run that was trained with clean labels.

    Args:
        config: The config it was trained with.
        options: Values by dotted key, as `--cfg-options` gives them.
        checkpoints: Of one epoch or of several, whose predictions are averaged.
        rate: Share of the faces that are mislabelled.
        seed: Decides among faces of equal score only; see `instance_noise`.
        track: Wraps the batches and their number.
    """
    names, clean, classes = labels_of(training_set(read_config(config, options)))
    probs = np.zeros((len(names), len(classes)))
    for checkpoint in checkpoints:
        probs += predict(read_run(config, checkpoint, {**(options or {}), **WITHOUT}), track)
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in checkpoints]
    made = dict(kind='instance', rate=rate, seed=seed, source='https://arxiv.org/abs/2012.05458, algorithm 1',
                checkpoints=', '.join(f'{Path(path).name} sha256 {digest}'
                                      for path, digest in zip(checkpoints, digests, strict=True)))
    return NoiseManifest(names, clean, instance_noise(clean, probs / len(checkpoints), rate, seed), classes, made)


def imported_manifest(config: str | Path, options: Mapping[str, Any] | None, path: str | Path,
                      base: int | None = None) -> NoiseManifest:
    """Takes noise from a list of names and class numbers, which count in the data set's own order.

    Args:
        config: A config file.
        options: Values by dotted key, as `--cfg-options` gives them.
        path: The list; see `read_noise_list`.
        base: What the first class counts as, 0 or 1. Defaults to None: as the numbers tell.
    """
    dataset = training_set(read_config(config, options))
    names, clean, classes = labels_of(dataset)
    counted = dataset.source_classes
    numbers, base = read_noise_list(str(path), names, len(counted), base)
    noisy = label_map(counted, classes, dataset.drop_classes)[numbers]
    if (noisy < 0).any():
        raise ValueError(f'{path} gives {(noisy < 0).sum():,} faces a class of drop_classes={dataset.drop_classes!r}: '
                         'take drop_classes out, or make noise of your own')
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    made = dict(kind='list', source=f'{Path(path).name} sha256 {digest}, classes counted from {base}')
    return NoiseManifest(names, clean, noisy, classes, made)


def training_set(cfg: Config) -> Any:
    """A config's training set with all its faces, labelled as its files have it.

    Raises:
        ValueError: The config has none, several in one, or one that is not of the training split.
    """
    if cfg.get('train_dataloader') is None:
        raise ValueError(f'{cfg.filename} has no train_dataloader: there is no training set to add noise to')
    settings = cfg.train_dataloader.dataset
    if 'dataset' in settings or 'datasets' in settings:
        raise ValueError(f'{settings.type} holds other data sets, and noise belongs to one of them: give a config with '
                         'that one as train_dataloader.dataset, and name the manifest in its own label_noise')
    cfg.merge_from_dict(WITHOUT)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if dataset.split != 'train':
        raise ValueError(f'train_dataloader.dataset has split={dataset.split!r}: label noise is for the training split '
                         'only')
    dataset.full_init()
    return dataset


def labels_of(dataset: Any) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """Names [N], labels [N] and classes of a data set."""
    return dataset.columns['name'].tolist(), np.asarray(dataset.get_gt_labels()), tuple(dataset.metainfo['classes'])
