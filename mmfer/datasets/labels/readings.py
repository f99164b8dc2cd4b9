"""The ways in which a column of labels can be read: as names, or as numbers that count in some order from 0 or 1."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mmfer.datasets.labels.numbers import is_number, whole_number
from mmfer.datasets.labels.schema import ORDERS, canonical


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


def readings_of(
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
        raise ValueError(
            f'{path} has the class {texts[numbers.index(None)][:40]}, which is no whole number; correct it'
        )
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


def in_known_orders(texts: Sequence[str], labels: np.ndarray, orders: Mapping[str, Sequence[str]]) -> list[Reading]:
    """The readings in all orders that are known for these classes."""
    values = [whole_number(text) for text in texts]
    if None in values:
        return []
    ids = {canonical(name): i for i, name in enumerate(orders['config'])}
    same = {name: classes for name, classes in ORDERS.items() if set(classes) == set(map(canonical, orders['dataset']))}
    return _counted(np.array(values), same, (0, 1), ids, labels)


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


def _reading(how: str, options: str, ids: np.ndarray, labels: np.ndarray) -> Reading:
    return Reading(how, options, ids, float((ids == labels).mean()))


def _in_words(name: str, classes: Collection[str], first: int) -> str:
    whose = {'dataset': "the data set's own order", 'config': 'the order of the config'}.get(name, f'the order {name}')
    counted = ', '.join(f'{number} {word}' for number, word in enumerate(classes, first))
    return f'numbers from {first} in {whose}: {counted}'
