"""Which training rows are held out: a share of them, or one of several folds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmfer.structures.ranges import check_range


def holdout_mask(
    columns: Mapping[str, np.ndarray],
    fraction: float | None = None,
    seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
) -> np.ndarray:
    """Which training rows are held out: the same share of every class, whole people where identities are known.

    ``dict(fraction=.1, seed=0)`` holds out a share, ``dict(folds=5, fold=0, seed=0)`` the first of five parts, of which
    every row is in one (:func:`folds_of`).

    Args:
        columns: ``label`` decides the class; ``identity``, where there is one, keeps people together.
        fraction: Share that is held out, between 0 and 1. Defaults to None: a tenth, where no folds are asked for.
        seed: Of the draw.
        folds: Number of parts.
        fold: The one that is held out, from 0.

    Returns:
        bool [N].

    Raises:
        ValueError: A setting is missing, out of its range, or one too many.
    """
    check_range('holdout.seed', seed, 0, whole=True)
    if folds is None and fold is None:
        return _share_mask(columns, 0.1 if fraction is None else fraction, seed)
    if fraction is not None or folds is None or fold is None:
        given = dict(fraction=fraction, folds=folds, fold=fold).items()
        raise ValueError(
            'holdout takes a fraction, or folds and fold, such as dict(fraction=.1, seed=0) or '
            f'dict(folds=5, fold=0, seed=0), got {dict(item for item in given if item[1] is not None)}'
        )
    check_range('holdout.folds', folds, 2, whole=True)
    check_range('holdout.fold', fold, 0, folds - 1, whole=True)
    return folds_of(columns, folds, seed) == fold


def folds_of(columns: Mapping[str, np.ndarray], folds: int, seed: int = 0) -> np.ndarray:
    """The part that each training row is in, int64 [N] from 0: of equal size, with equal shares of every class.

    Sizes, and faces of a class, differ by one at most. With identities people stay together: they are visited from the
    one with most faces on, in random order where they have as many, and each goes where there is least of its classes.

    Args:
        columns: As for :func:`holdout_mask`.
        folds: Number of parts.
        seed: Of the draw.
    """
    label = columns['label']
    draw = np.random.default_rng(seed).random(len(label))  # only random(): see _share_mask
    if 'identity' not in columns:
        part = np.empty(len(label), dtype=np.int64)
        part[np.lexsort((draw, label))] = np.arange(len(label)) % folds
        return part
    faces, person = _faces_of_people(columns)
    share = faces / np.maximum(faces.sum(axis=0), 1)
    have, sizes = np.zeros((folds, faces.shape[1])), np.zeros(folds)
    chosen = np.empty(len(faces), dtype=np.int64)
    for i in np.lexsort((draw[: len(faces)], -faces.sum(axis=1))):
        there = (have @ faces[i]).round(9)  # of faces of a class alike the order of the sums must not decide
        chosen[i] = np.lexsort((sizes, there))[0]
        have[chosen[i]] += share[i]
        sizes[chosen[i]] += faces[i].sum()
    return chosen[person]


def _share_mask(columns: Mapping[str, np.ndarray], fraction: float, seed: int) -> np.ndarray:
    """A class with two faces or more has at least one on either side.

    With identities, people are visited in random order and held out while that brings the held-out counts nearer to the
    share of every class.
    """
    if not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ValueError(f'holdout fraction must lie between 0 and 1, got {fraction!r}')
    label = columns['label']
    counts = np.bincount(label)
    wanted = np.floor(fraction * counts + 0.5).astype(np.int64)
    wanted = np.clip(wanted, np.minimum(counts // 2, 1), np.maximum(counts - 1, 0))
    # Only random() is drawn: its bits are fixed by the generator, the other methods may change between numpy versions.
    draw = np.random.default_rng(seed).random(len(label))
    if 'identity' not in columns:
        order = np.lexsort((draw, label))
        rank = np.empty(len(label), dtype=np.int64)
        rank[order] = np.arange(len(label)) - (np.cumsum(counts) - counts)[label[order]]
        return rank < wanted[label]
    faces, person = _faces_of_people(columns)
    chosen, have = np.zeros(len(faces), dtype=bool), np.zeros(len(counts), dtype=np.int64)
    for i in np.argsort(draw[: len(faces)]):
        if np.abs(wanted - have - faces[i]).sum() < np.abs(wanted - have).sum():
            chosen[i], have = True, have + faces[i]
    return chosen[person]


def _faces_of_people(columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """How many faces of each class everybody has, int64 [people, K], and who each row is [N]."""
    people, person = np.unique(columns['identity'], return_inverse=True)
    faces = np.zeros((len(people), int(columns['label'].max(initial=-1)) + 1), dtype=np.int64)
    np.add.at(faces, (person, columns['label']), 1)
    return faces, person
