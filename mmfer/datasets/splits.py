"""Which rows a split has, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from mmfer.datasets.holdout import holdout_mask


def check_split(
    name: str,
    split: str,
    splits: Collection[str],
    holdout: Mapping[str, Any] | None,
    label_noise: Mapping[str, Any] | None,
) -> None:
    """A format has the split that is asked for, or ``holdout`` makes it; noise is for training.

    Args:
        name: The format's.
        split: 'train', 'val' or 'test'.
        splits: Those that the format itself has.
        holdout: How rows are held out of those of training; None where they are not.
        label_noise: What is added to the labels; None where nothing is.

    Raises:
        ValueError: It has not, or noise is to be added elsewhere.
    """
    if split not in ('train', 'val', 'test'):
        raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
    if split == 'val' and 'val' not in splits and holdout is None:
        raise ValueError(
            f'{name} has no validation split of its own; give train and val the same '
            "holdout=dict(fraction=.1, seed=0), or use split='test'"
        )
    if split == 'test' and 'test' not in splits:
        raise ValueError(
            f"{name} has no test split with public labels; give split='val', or "
            "split='train' to test a model that was trained on other data"
        )
    if label_noise is not None and split != 'train':
        raise ValueError(f"label_noise is for split='train' only, got split={split!r}; take it out there")


def rows_of_split(
    columns: dict[str, np.ndarray], split: str, source_split: str, holdout: Mapping[str, Any] | None
) -> slice | np.ndarray:
    """The rows of a split among those of ``source_split``, which ``columns`` hold."""
    if holdout is None or source_split != 'train':
        return slice(None)
    held_out = holdout_mask(columns, **holdout)
    return held_out if split == 'val' else ~held_out
