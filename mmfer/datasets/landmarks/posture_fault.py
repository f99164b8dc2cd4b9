"""What is wrong with landmarks of faces that do not stand upright, and the cure, as sentences."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from shlex import quote

import numpy as np

from mmfer.datasets.landmarks.posture import EXCHANGED, NO_FACE, READINGS, Posture, posture
from mmfer.datasets.reading.files import name_a_few

_ANEW = 'find them anew (docs/landmarks.md), or train without them: landmarks=None'


def posture_sentence(found: Posture, names: Sequence[str], where: str, exchange: str) -> str:
    """What is wrong, with an example, why, and the cure.

    Args:
        found: How the faces lie.
        names: Of the faces.
        where: Whose landmarks they are.
        exchange: The cure where x and y are exchanged.
    """
    odd = odd_names(found, names)
    return (
        f'{where}: the landmarks of {len(odd):,} of {len(names):,} faces {found.fault or "do not stand upright"}, such '
        f'as {name_a_few(odd)}; brows must lie above eyes, eyes above the mouth, and point 36 left of point 45: '
        f'{cure_of(found, exchange)}'
    )


def odd_names(found: Posture, names: Sequence[str]) -> list[str]:
    """The faces that are wrong; all where their order is."""
    odd = [name for name, is_odd in zip(names, found.odd.tolist(), strict=True) if is_odd]
    return odd if found.fault in (None, *READINGS) else list(names)


def cure_of(found: Posture, exchange: str) -> str:
    """What to do."""
    if found.fault is None:
        return 'find these anew (docs/landmarks.md), or give their rows score 0'
    return exchange if found.fault == READINGS[EXCHANGED] else _ANEW


def fault_of(
    names: np.ndarray, points: np.ndarray, score: np.ndarray, where: str, exchange: str, turned_only: bool = False
) -> str | None:
    """What is wrong with nearly all faces of a landmark file, as a sentence; None where nothing is.

    Args:
        names: Of the faces, [N].
        points: (x, y), [N, 68, 2].
        score: 0 where there are no points, [N].
        where: The file.
        exchange: The cure where x and y are exchanged.
        turned_only: Whether it does not matter that points are in another order, or no face's.
    """
    valid = (score > 0) & np.isfinite(points).all(axis=(1, 2))
    found = posture(points[valid])
    if found.fault is None or (turned_only and found.fault not in READINGS[:NO_FACE]):
        return None
    return posture_sentence(found, names[valid].tolist(), where, exchange)


def exchange_command(path: str | None, data_root: str = '') -> str:
    """What to type where x and y are exchanged in a landmark file, and what to write into the config.

    Args:
        path: The file; None where a data set brings its landmarks along.
        data_root: What it is relative to.
    """
    if path is None:
        return _ANEW
    path = osp.normpath(osp.join(data_root, osp.expanduser(path)))
    new = f'{osp.splitext(osp.basename(path))[0]}_xy.npz'
    return (
        f'exchange them with python tools/dataset_tools/landmarks.py --import {quote(path)} '
        f'{quote(osp.join(osp.dirname(path), new))} --swap-xy, and name the new file: landmarks="{new}"'
    )
