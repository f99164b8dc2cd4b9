"""What k trainings say of the faces that each was not trained on, and what they remember of the others."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log

from mmfer.apis.analysis.beliefs import Track, beliefs_of, predict
from mmfer.apis.analysis.inspection import Run, run_of
from mmfer.apis.analysis.label_scores import ranks
from mmfer.apis.training import train
from mmfer.datasets import FaceDataset
from mmfer.datasets.reading.arrays import read_npz
from mmfer.engine.beginning import AUTO
from mmfer.engine.hooks.noise_report import TRUST
from mmfer.structures.newest_checkpoint import newest_checkpoint
from mmfer.structures.whole_files import written_whole

FOUND = 'out_of_fold.npz'
REMEMBERED = ('label_distribution', 'relabelled', *TRUST)
"""Bank columns that say something of a label."""


@dataclass(frozen=True)
class Evidence:
    """What the folds found, by row of the training set.

    Args:
        probs: Probabilities by the network that was not trained on the face, float32 [N, K].
        seen: Their mean over the networks that were trained on the face, float32 [N, K].
        fold: The fold in which the face was held out, int64 [N].
        remembered: How doubtful the label is to the banks of the networks that were trained on the face, from 0 to 1,
            float64 [N]; nan where none has drawn it. None where the method remembers nothing of labels.
    """

    probs: np.ndarray
    seen: np.ndarray
    fold: np.ndarray
    remembered: np.ndarray | None


def gather_evidence(
    cfg: Config, dataset: FaceDataset, folds: int, seed: int, track: Track, verbose: bool = False
) -> Evidence:
    """Trains one network a fold without the faces of that fold, and asks it about them and about those it knows.

    Each is an ordinary training in `fold_<k>` of the work folder. One that was cut off is gone on with; what is found
    is kept in `out_of_fold.npz` there, and not found again.

    Args:
        cfg: The config, with a `work_dir`.
        dataset: All of its training faces, of `audited_set`.
        folds: How many.
        seed: Of the folds.
        track: Wraps batches and their number, for a progress bar.
        verbose: As for `train`.

    Raises:
        TrainingStopped: A signal told a training to stop; it did, behind a checkpoint.
        ValueError: The config cannot be trained with.
    """
    shape = len(dataset), len(dataset.metainfo['classes'])
    probs, seen = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    fold_of = np.full(len(dataset), -1)
    doubts = []
    for fold in range(folds):
        found = read_found(Path(cfg.work_dir) / f'fold_{fold}' / FOUND, *shape)
        if found is None:
            print_log(f'fold {fold + 1} of {folds}', logger='current')
            found = _ask(fold_config(cfg, folds, fold, seed), dataset, track, verbose)
        else:
            print_log(f'fold {fold + 1} of {folds}: found before, in fold_{fold}/{FOUND}', logger='current')
        rows = found['rows']
        fold_of[rows], probs[rows] = fold, found['probs'][rows]
        found['probs'][rows] = 0  # not seen
        seen += found['probs'] / (folds - 1)
        doubts.append(found['doubts'])
    return Evidence(probs, seen, fold_of, _mean_of_known(doubts))


def fold_config(cfg: Config, folds: int, fold: int, seed: int) -> Config:
    """The config of one fold's training: without its faces, and without anything to choose an epoch on."""
    cfg = copy.deepcopy(cfg)
    cfg.work_dir = str(Path(cfg.work_dir) / f'fold_{fold}')
    cfg.train_dataloader.dataset.holdout = dict(folds=folds, fold=fold, seed=seed)
    for split in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{split}_{key}'] = None
    cfg.select_on = None
    cfg.train_dataloader.persistent_workers = False  # those of every fold would stay to the end
    if (cfg.get('default_hooks') or {}).get('checkpoint'):
        cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    cfg.experiment_name = f'fold_{fold}_{time.time_ns()}'  # MMEngine keeps what belongs to a name for the whole process
    if newest_checkpoint(Path(cfg.work_dir)).newest is not None:
        cfg.resume, cfg.load_from = AUTO, None
    return cfg


def _ask(cfg: Config, dataset: FaceDataset, track: Track, verbose: bool) -> dict[str, np.ndarray]:
    folder = Path(cfg.work_dir)
    train(copy.deepcopy(cfg), verbose=verbose)
    checkpoint = newest_checkpoint(folder).newest
    if checkpoint is None:
        raise ValueError(f'the training in {folder} kept no checkpoint: an audit needs default_hooks.checkpoint')
    run = run_of(cfg, checkpoint)
    there = {name: row for row, name in enumerate(dataset.columns['name'].tolist())}
    trained = np.array([there[name] for name in run.dataset.columns['name'].tolist()])
    rows = np.setdiff1d(np.arange(len(dataset)), trained)
    probs = predict(Run(cfg, run.model, dataset, None, checkpoint), track)
    doubts = np.full(len(dataset), np.nan)
    if any(name in run.bank for name in REMEMBERED):
        beliefs = beliefs_of(run, track)
        # The order of `analyze noise-report`: a label that is contradicted first, then the least trusted.
        agrees, seen = beliefs.believed == beliefs.observed, beliefs.seen
        doubts[trained[seen]] = 1 - ranks(agrees[seen], beliefs.trust[seen])
    with written_whole(folder / FOUND, 'wb') as stream:
        np.savez_compressed(stream, rows=rows, probs=probs, doubts=doubts)
    return dict(rows=rows, probs=probs, doubts=doubts)


def read_found(path: Path, faces: int, classes: int) -> dict[str, np.ndarray] | None:
    """What a fold has found, of that many faces and classes; None where that is not there, or damaged."""
    try:
        found = read_npz(path, ('rows', 'probs', 'doubts'))
    except (OSError, ValueError):
        return None
    rows, probs, doubts = (found[key] for key in ('rows', 'probs', 'doubts'))
    fits = (
        rows.dtype.kind == 'i'
        and probs.dtype.kind == doubts.dtype.kind == 'f'
        and rows.ndim == 1
        and probs.shape == (faces, classes)
        and doubts.shape == (faces,)
        and ((rows >= 0) & (rows < faces)).all()
    )
    return found if fits else None


def _mean_of_known(doubts: Sequence[np.ndarray]) -> Any:
    known = ~np.isnan(doubts)
    if not known.any():
        return None
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, doubts, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)
