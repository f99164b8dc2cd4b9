"""Row numbers one after the other, without a list of all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_AT_ONCE = 100_000


def in_pieces(rows: np.ndarray) -> Iterator[int]:
    """The numbers of an array as Python's, of which ten million at once would take 400 MB."""
    for start in range(0, len(rows), _AT_ONCE):
        yield from rows[start : start + _AT_ONCE].tolist()
