"""What the labels of a list mean: which of two columns is the noisy one, and what its numbers count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmfer.datasets.labels.noise_lists import ListedLabels
from mmfer.datasets.labels.readings import Reading, in_known_orders, readings_of
from mmfer.datasets.labels.schema import canonical

_NOISY = {'noisy', 'noise', 'noisy label', 'label noisy', 'noisylabel'}
_CLEAN = {'clean', 'true', 'gt', 'original', 'clean label', 'label clean', 'true label', 'ground truth', 'cleanlabel'}


_MARGIN = 0.01
"""How much more labels must be those of the training set than in any other reading."""


def choose_labels(
    path: str,
    listed: ListedLabels,
    labels: np.ndarray,
    orders: Mapping[str, Sequence[str]],
    base: int | None = None,
    order: str | None = None,
    column: int | None = None,
) -> tuple[np.ndarray, str]:
    """The noisy labels of a list, ids [N], and what was read how.

    Most labels of a list are those of the training set: where several readings are possible, the one under which most
    are is taken, if these are more than half, and clearly more than under any other. An order that is known for these
    classes but is neither the data set's nor the config's is never taken unasked; where it fits better, that is said.

    Args:
        path: The list, for messages.
        listed: What it says.
        labels: Those of the training set, ids [N] in ``orders['config']``.
        orders: Names of classes in the orders in which numbers may count: 'dataset' and 'config'.
        base: What the first class counts as, 0 or 1. Defaults to None: as the numbers tell.
        order: 'dataset', 'config', or one of :data:`~mmfer.datasets.labels.schema.ORDERS`. Defaults to None: 'dataset'
            or 'config', as the numbers tell.
        column: Which of two columns of labels is the noisy one, 1 or 2. Defaults to None: the one that is not
            the training set's labels.

    Raises:
        ValueError: It cannot be told, or does not fit.
    """
    if column is not None and len(listed.columns) == 1:
        raise ValueError(f'{path} has one column of labels: take --column out')
    place = 0 if column is None else column - 1
    readings: dict[int, list[Reading]] = {}
    for i in range(len(listed.columns)) if column is None else (place,):
        try:
            readings[i] = readings_of(path, listed.columns[i], labels, orders, base, order)
        except ValueError as error:
            alone = column is not None or len(listed.columns) == 1
            raise ValueError(
                f'{error}{"" if alone else f"; if that is no column of labels, say --column {2 - i}"}'
            ) from None
    if len(readings) == 2:
        place = _noisy_column(path, readings, listed.titles)
        clean = [reading.options for reading in readings[1 - place] if reading.agrees == 1]
        # Both columns are read alike: a clean one says how.
        readings[place] = [reading for reading in readings[place] if reading.options in clean] or readings[place]
    others = in_known_orders(listed.columns[place], labels, orders) if base is None and order is None else []
    found = _likeliest(path, readings[place], others)
    said = [found.how, _agreement(found)]
    said = [f'{("first", "second")[place]} of two columns of labels', *said] if len(listed.columns) == 2 else said
    said += [f'with {other.options} {100 * other.agrees:.1f} %' for other in readings[place] if other is not found]
    return found.ids, '; '.join(said)


def _noisy_column(path: str, readings: Mapping[int, Sequence[Reading]], titles: Sequence[str]) -> int:
    agree = [max(reading.agrees for reading in readings[i]) for i in (0, 1)]
    words = [canonical(title) for title in titles]
    said = next((i for i in (0, 1) if words[i] in _NOISY or words[1 - i] in _CLEAN), None)
    told = agree.index(min(agree)) if max(agree) == 1 > min(agree) else None
    if said is None and told is None:
        raise ValueError(
            f'{path} has two columns of labels, and neither of them is that of the training set '
            f'({100 * agree[0]:.1f} and {100 * agree[1]:.1f} % agree), so that it cannot be told which is the noisy '
            'one; say which: --column 1 or --column 2'
        )
    if said is not None and told is not None and said != told:
        raise ValueError(
            f'{path} calls its columns {" and ".join(titles)}, but it is {titles[said]} that has the labels of the '
            'training set: is this set noisy already? say which column to take: --column 1 or --column 2'
        )
    return said if told is None else told


def _likeliest(path: str, readings: Sequence[Reading], others: Sequence[Reading]) -> Reading:
    """The one to take; ``others`` would have to be asked for."""
    others = [other for other in others if not any(np.array_equal(other.ids, reading.ids) for reading in readings)]
    best, *rest = sorted((*readings, *others), key=lambda reading: -reading.agrees)
    if best in readings:
        clear = best.agrees > 0.5 and (not rest or best.agrees - rest[0].agrees > _MARGIN)
        if clear or len(readings) == 1:
            return best
    least = max(reading.agrees for reading in readings)
    better = [other for other in others if other.agrees >= least]
    ways = '; '.join(f'{reading.options} ({_agreement(reading)}; {reading.how})' for reading in (*readings, *better))
    raise ValueError(
        f'the numbers of {path} can be read in several ways, and how many labels then are those of the training set '
        f'does not tell which is right; say which: {ways}'
    )


def _agreement(reading: Reading) -> str:
    return f'{100 * reading.agrees:.1f} % are the labels of the training set'
