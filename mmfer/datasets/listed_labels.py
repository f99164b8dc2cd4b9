"""What the labels of a list mean: which of two columns is the noisy one, and what its numbers count."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .label_numbers import is_number, whole_number
from .label_schema import ORDERS, canonical
from .noise_lists import ListedLabels

_NOISY = {'noisy', 'noise', 'noisy label', 'label noisy', 'noisylabel'}
_CLEAN = {'clean', 'true', 'gt', 'original', 'clean label', 'label clean', 'true label', 'ground truth', 'cleanlabel'}


_MARGIN = 0.01
"""How much more labels must be those of the training set than in any other reading."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to read a column of labels.

    Args:
        how: In words.
        options: What asks for it on the command line; '' where there is nothing to ask for.
        ids: Class ids [N].
        agrees: Share of them that are the labels of the training set.
    """

    how: str
    options: str
    ids: np.ndarray
    agrees: float


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
        order: 'dataset', 'config', or one of :data:`~mmfer.datasets.label_schema.ORDERS`. Defaults to None: 'dataset'
            or 'config', as the numbers tell.
        column: Which of two columns of labels is the noisy one, 1 or 2. Defaults to None: the one that is not
            the training set's labels.

    Raises:
        ValueError: It cannot be told, or does not fit.
    """
    if column is not None and len(listed.columns) == 1:
        raise ValueError(f'{path} has one column of labels: take --column out')
    readings = [_readings(path, texts, labels, orders, base, order) for texts in listed.columns]
    place = 0
    if len(readings) == 2:
        place = _noisy_column(path, readings, listed.titles) if column is None else column - 1
        clean = [reading.options for reading in readings[1 - place] if reading.agrees == 1]
        # Both columns are read alike: a clean one says how.
        readings[place] = [reading for reading in readings[place] if reading.options in clean] or readings[place]
    others = _known_orders(listed.columns[place], labels, orders) if base is None and order is None else []
    found = _likeliest(path, readings[place], others)
    said = [found.how, _agreement(found)]
    said = [f'{("first", "second")[place]} of two columns of labels', *said] if len(readings) == 2 else said
    said += [f'with {other.options} {100 * other.agrees:.1f} %' for other in readings[place] if other is not found]
    return found.ids, '; '.join(said)


def _known_orders(texts: Sequence[str], labels: np.ndarray, orders: Mapping[str, Sequence[str]]) -> list[Reading]:
    """The readings in all orders that are known for these classes."""
    values = [whole_number(text) for text in texts]
    if None in values:
        return []
    ids = {canonical(name): i for i, name in enumerate(orders['config'])}
    same = {name: classes for name, classes in ORDERS.items() if set(classes) == set(map(canonical, orders['dataset']))}
    return _counted(np.array(values), same, (0, 1), ids, labels)


def _noisy_column(path: str, readings: Sequence[Sequence[Reading]], titles: Sequence[str]) -> int:
    agree = [max(reading.agrees for reading in one) for one in readings]
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


def _readings(
    path: str,
    texts: Sequence[str],
    labels: np.ndarray,
    orders: Mapping[str, Sequence[str]],
    base: int | None,
    order: str | None,
) -> list[Reading]:
    """All ways to read a column, those that give the same ids once."""
    ids = {canonical(name): i for i, name in enumerate(orders['config'])}
    named = [text for text in texts if not is_number(text)]
    if len(named) not in (0, len(texts)):
        raise ValueError(
            f'{path} has numbers and names of classes in one column, such as {named[0]!r}; use one of both'
        )
    if named:
        if base is not None or order is not None:
            raise ValueError(f'{path} names its classes: take {"--order" if base is None else "--base"} out')
        return [_reading('classes by name', '', np.array([ids.get(canonical(text), -1) for text in texts]), labels)]
    numbers = [whole_number(text) for text in texts]
    if None in numbers:
        raise ValueError(f'{path} has the class {texts[numbers.index(None)]}, which is no whole number; correct it')
    values = np.array(numbers, dtype=np.int64)
    low, high = int(values.min()), int(values.max())
    chosen = {order: orders.get(order) or ORDERS[order]} if order is not None else orders
    found = _counted(values, chosen, (0, 1) if base is None else (base,), ids, labels)
    if not found:
        sizes = sorted({len(classes) for classes in chosen.values()})
        many = ' or '.join(map(str, sizes))
        raise ValueError(
            f'{path} has class numbers from {low} to {high}, '
            + (
                f'but the training set has {many} classes, 0-{sizes[-1] - 1} or 1-{sizes[-1]}; correct the numbers, or '
                'the classes'
                if base is None
                else f'which are not {many} classes counted from {base}'
            )
        )
    return found


def _counted(
    values: np.ndarray,
    orders: Mapping[str, Sequence[str]],
    bases: Sequence[int],
    ids: Mapping[str, int],
    labels: np.ndarray,
) -> list[Reading]:
    found: list[Reading] = []
    for (name, classes), first in product(orders.items(), bases):
        if first <= values.min() and values.max() < len(classes) + first:
            to = np.array([ids.get(canonical(word), -1) for word in classes])
            options = f'--base {first} --order {name}'
            reading = _reading(_in_words(name, classes, first), options, to[values - first], labels)
            if not any(np.array_equal(reading.ids, other.ids) for other in found):
                found.append(reading)
    return found


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


def _reading(how: str, options: str, ids: np.ndarray, labels: np.ndarray) -> Reading:
    return Reading(how, options, ids, float((ids == labels).mean()))


def _in_words(name: str, classes: Collection[str], first: int) -> str:
    whose = {'dataset': "the data set's own order", 'config': 'the order of the config'}.get(name, f'the order {name}')
    counted = ', '.join(f'{number} {word}' for number, word in enumerate(classes, first))
    return f'numbers from {first} in {whose}: {counted}'
