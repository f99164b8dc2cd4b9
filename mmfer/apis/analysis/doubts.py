"""Faces whose labels a run doubts: the relabelled ones, and those of least importance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfer.apis.analysis.inspection import Run
from mmfer.engine.hooks.noise_report import TRUST
from mmfer.visualization import draw_contact_sheet

RIGHT, WRONG, UNKNOWN = '#228833', '#cc3311', '.7'
"""Frames: a label that is the clean one, one that is not, and where that is unknown."""


def draw_relabels(run: Run, path: str | Path, faces: int = 32, seed: int = 0) -> Path:
    """Draws faces that the run relabelled, with old and new label, framed by whether the new one is the clean one.

    Args:
        run: What `read_run` returns.
        path: The PNG to write.
        faces: How many at most, drawn at random from all that were relabelled; first those put right.
        seed: Of the draw.

    Raises:
        ValueError: The run relabels nothing, or has not relabelled any face.
    """
    labels = _remembered(run, 'relabelled', 'SCN (configs/scn)')
    observed = run.dataset.get_gt_labels()
    changed = np.flatnonzero(labels != observed)
    if not len(changed):
        raise ValueError(
            'the run has not relabelled any face: see from which epoch it does, in '
            'model.supervision.scn.refiners.relabel.start_epoch'
        )
    shown = np.random.default_rng(seed).permutation(changed)[: _at_least(faces, 1)]
    clean = clean_labels(run, changed)
    colours = dict(zip(changed.tolist(), frames(labels[changed], clean), strict=True))
    shown = sorted(shown.tolist(), key=lambda face: ([RIGHT, WRONG, UNKNOWN].index(colours[face]), face))
    classes, truth = run.dataset.metainfo['classes'], dict(zip(changed.tolist(), clean.tolist(), strict=True))
    captions = [
        f'{classes[observed[face]]} → {classes[labels[face]]}\n{_truth(truth[face], classes)}' for face in shown
    ]
    title = f'{len(changed):,} of {len(labels):,} faces relabelled'
    if (clean >= 0).any():
        share = 100 * np.mean(labels[changed][clean >= 0] == clean[clean >= 0])
        title += f', {share:.1f} % of them to the clean label (green)'
    return draw_contact_sheet(
        run.pictures(shown), captions, path, title=title, colours=[colours[face] for face in shown]
    )


def draw_importance(run: Run, path: str | Path, faces: int = 32) -> Path:
    """Draws the faces of lowest and highest importance (or reliability), framed by whether their label is right.

    Faces that training has never drawn are left out: nothing has said anything about them yet.

    Args:
        run: What `read_run` returns.
        path: The PNG to write.
        faces: How many in all, half of them lowest, the other half highest; rounded down to whole rows.

    Raises:
        ValueError: The run remembers neither, or has drawn less than two faces.
    """
    name = next((name for name in TRUST if name in run.bank), TRUST[0])
    trust, seen = _remembered(run, name, 'SCN (configs/scn) or SNA (configs/sna)'), run.seen
    if seen.sum() < 2:
        raise ValueError(
            f'the run has drawn {seen.sum()} of its {len(seen):,} training faces, and of the others the {name} is '
            'where it started: give a checkpoint after more steps'
        )
    half = min(_at_least(faces, 2), int(seen.sum())) // 2
    columns = min(half, 8)
    half -= half % columns
    order = np.flatnonzero(seen)[np.argsort(trust[seen], kind='stable')]
    shown = [*order[:half], *order[-half:]]
    classes = run.dataset.metainfo['classes']
    observed, clean = run.dataset.get_gt_labels()[shown], clean_labels(run, shown)
    captions = [
        f'{trust[face]:.3f}  {classes[label]}\n{_truth(truth, classes)}'
        for face, label, truth in zip(shown, observed, clean, strict=True)
    ]
    title = f'{name}: the {half} lowest, then the {half} highest of {len(order):,} faces'
    if len(order) < len(trust):
        title += f' ({len(trust) - len(order):,} were never drawn and are left out)'
    if (clean >= 0).any():
        title += '; green: the label is right'
    return draw_contact_sheet(run.pictures(shown), captions, path, columns, title, frames(observed, clean))


def clean_labels(run: Run, faces: Sequence[int] | np.ndarray) -> np.ndarray:
    """The labels [n] that faces had before noise was added; -1 where that is unknown."""
    return run.dataset.get_clean_labels()[np.asarray(faces, dtype=np.int64)]


def frames(labels: np.ndarray, clean: np.ndarray) -> list[str]:
    """The colour of each face's frame; labels and clean labels [n]."""
    return np.where(clean < 0, UNKNOWN, np.where(labels == clean, RIGHT, WRONG)).tolist()


def _remembered(run: Run, name: str, who: str) -> np.ndarray:
    if name not in run.bank:
        raise ValueError(
            f'the run remembers no "{name}" of its faces: give the config and checkpoint of a run with {who}'
        )
    return run.bank[name].numpy()


def _truth(clean: int, classes: Sequence[str]) -> str:
    return '' if clean < 0 else f'clean: {classes[clean]}'


def _at_least(faces: int, least: int) -> int:
    if faces < least:
        raise ValueError(f'the number of faces to show must be at least {least}, got {faces}')
    return faces
