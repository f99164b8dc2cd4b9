"""Label noise for a config's training set, as a manifest: drawn, from a model's confusion, or from a list."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmfer.apis.analysis.beliefs import Track, predict
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.config import read_config
from mmfer.datasets.columns import check_columns, map_classes
from mmfer.datasets.labels.listed_labels import choose_labels
from mmfer.datasets.labels.noise import instance_noise, noisy_labels
from mmfer.datasets.labels.noise_lists import read_noise_list
from mmfer.datasets.labels.noise_manifest import NoiseManifest
from mmfer.datasets.labels.schema import label_map
from mmfer.datasets.reading.files import require_paths

NOISE = 'train_dataloader.dataset.label_noise'
ALL_FACES = {f'train_dataloader.dataset.{key}': None for key in ('label_noise', 'holdout', 'indices', 'landmarks')}
"""Noise is of all training faces with the labels of their files, whichever of them a run then leaves out."""


def noise_options(config: str | Path, typed: Sequence[str], noise: Mapping[str, Any]) -> list[str]:
    """`--cfg-options` that train with other label noise than the config's, or than the options' so far.

    Args:
        config: The config file.
        typed: The options so far, as they were typed.
        noise: What `label_noise` is to be.
    """
    own = (read_config(config).get('train_dataloader') or {}).get('dataset', {}).get('label_noise')
    settings = dict(_delete_=True, **noise) if own else noise
    kept = [option for option in typed if not option.startswith(NOISE)]
    return [*kept, *(f'{NOISE}.{key}={value}' for key, value in settings.items())]


def draw_manifest(config: str | Path, options: Mapping[str, Any] | None, noise: Mapping[str, Any]) -> NoiseManifest:
    """Draws symmetric or asymmetric noise, the very one that `label_noise=noise` gives.

    Args:
        config: A config file.
        options: Values by dotted key, as `--cfg-options` gives them.
        noise: Parameters of `noisy_labels`: kind, rate, seed, confusions.
    """
    faces = TrainingLabels(read_config(config, options))
    noisy = noisy_labels(faces.labels, faces.classes, **noise)
    return NoiseManifest(faces.names, faces.labels, noisy, faces.classes, {**noise, 'seed': noise.get('seed', 0)})


def confused_manifest(
    config: str | Path,
    options: Mapping[str, Any] | None,
    checkpoints: Sequence[str | Path],
    rate: float,
    seed: int = 0,
    track: Track = lambda batches, _total: batches,
    force: bool = False,
) -> NoiseManifest:
    """Makes instance-dependent noise from the predictions of a run that was trained with clean labels.

    Args:
        config: The config it was trained with.
        options: Values by dotted key, as `--cfg-options` gives them.
        checkpoints: Of one epoch or of several, whose predictions are averaged.
        rate: Share of the faces that are mislabelled.
        seed: Decides among faces of equal score only; see `instance_noise`.
        track: Wraps the batches and their number.
        force: Whether to warn instead of raising where the config differs from the checkpoints'.
    """
    faces = TrainingLabels(read_config(config, options))
    probs = np.zeros((len(faces.names), len(faces.classes)))
    for checkpoint in checkpoints:
        run = read_run(config, checkpoint, {**(options or {}), **ALL_FACES}, force=force)
        if len(run.dataset) < len(faces.names):
            raise ValueError(
                f'{len(faces.names) - len(run.dataset):,} training faces cannot be read, and the network '
                'says nothing of these: restore their images, or take their rows out of the label file'
            )
        probs[:, label_map(run.dataset.metainfo['classes'], faces.classes)] += predict(run, track)
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in checkpoints]
    made = dict(
        kind='instance',
        rate=rate,
        seed=seed,
        source='https://arxiv.org/abs/2012.05458, algorithm 1',
        checkpoints=', '.join(
            f'{Path(path).name} sha256 {digest}' for path, digest in zip(checkpoints, digests, strict=True)
        ),
    )
    noisy = instance_noise(faces.labels, probs / len(checkpoints), rate, seed)
    return NoiseManifest(faces.names, faces.labels, noisy, faces.classes, made)


def imported_manifest(
    config: str | Path,
    options: Mapping[str, Any] | None,
    path: str | Path,
    base: int | None = None,
    order: str | None = None,
    column: int | None = None,
) -> NoiseManifest:
    """Takes noise from a list of names and classes; what was read how is in its `made['reading']`.

    Args:
        config: A config file.
        options: Values by dotted key, as `--cfg-options` gives them.
        path: The list; see `read_noise_list`.
        base: What the first class counts as, 0 or 1. Defaults to None: as the numbers tell.
        order: What numbers count in: 'dataset', 'config' or the name of an order; see `choose_labels`.
        column: Which of two columns of labels is the noisy one, 1 or 2.
    """
    faces = TrainingLabels(read_config(config, options))
    listed = read_noise_list(str(path), faces.names, {*faces.source_classes, *faces.classes})
    orders = {'dataset': faces.source_classes, 'config': faces.classes}
    noisy, reading = choose_labels(str(path), listed, faces.labels, orders, base, order, column)
    if (noisy < 0).any():
        raise ValueError(
            f'{path} gives {(noisy < 0).sum():,} faces a class of drop_classes={faces.drop_classes!r}: '
            'take drop_classes out, or make noise of your own'
        )
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    made = dict(kind='list', source=f'{Path(path).name} sha256 {digest}', reading=reading)
    return NoiseManifest(faces.names, faces.labels, noisy, faces.classes, made)


class TrainingLabels:
    """All training faces of a config with the labels of their files; the pictures need not be there.

    Args:
        cfg: The config.

    Attributes:
        names: N names.
        labels: Class ids int64 [N].
        classes: K names.
        source_classes: In the order in which the files count them.
        drop_classes: Those whose faces are left out.

    Raises:
        ValueError: The config has no training set, several in one, or one that is not of the training split.
    """

    def __init__(self, cfg: Config):
        if cfg.get('train_dataloader') is None:
            raise ValueError(f'{cfg.filename} has no train_dataloader: there is no training set to add noise to')
        settings = cfg.train_dataloader.dataset
        if 'dataset' in settings or 'datasets' in settings:
            raise ValueError(
                f'{settings.type} holds other data sets, and noise belongs to one of them: give a config '
                'with that one as train_dataloader.dataset, and name the manifest in its own label_noise'
            )
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
            dataset = DATASETS.build({**settings, 'label_noise': None, 'lazy_init': True})
        if dataset.split != 'train':
            raise ValueError(
                f'train_dataloader.dataset has split={dataset.split!r}: label noise is for the training split only'
            )
        # As FaceDataset begins, before it leaves out rows: held-out ones, or those of pictures that cannot be read.
        require_paths(type(dataset).__name__, dataset.data_root, dataset.REQUIRED, dataset.HOW_TO_GET)
        columns = check_columns(dataset.load_columns())
        self.source_classes, self.drop_classes = dataset.source_classes, dataset.drop_classes
        self.classes = tuple(dataset.metainfo.get('classes') or dataset.source_classes)
        columns = map_classes(columns, self.source_classes, self.classes, self.drop_classes)
        self.names, self.labels = columns['name'].tolist(), columns['label']
