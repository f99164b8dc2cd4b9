"""What is measured in which order, and within which time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.gpu.results import Results, Row, failed

Measured = Iterator[tuple[str, Row]]


@dataclass(frozen=True)
class Unit:
    """Rows that are measured together.

    Args:
        section: Where they belong.
        keys: Of the rows.
        rank: The most valued have the smallest, and come first.
        seconds: What it may take on an H100: a guess, by which a call that has less left passes over it.
        measure: Gives rows by key, of those that it is asked for, within seconds that it is told.
    """

    section: str
    keys: tuple[str, ...]
    rank: int
    seconds: float
    measure: Callable[[list[str], float], Measured]


def work(units: Sequence[Unit], results: Results, until: float, say: Callable[[str], None]) -> int:
    """Measures what is missing, the most valued first; gives how many rows are new.

    What fails writes its error as a row, and the others go on.

    Args:
        units: What there is.
        results: Where rows go.
        until: No unit begins, of which a guess says that it ends later; as `time.monotonic()`.
        say: Takes a line.
    """
    added = 0
    for unit in sorted(units, key=lambda unit: unit.rank):
        wanted = results.missing(unit.section, unit.keys)
        left = until - time.monotonic()
        if not wanted:
            continue
        if unit.seconds > left:
            say(f'{unit.section}: no time for {", ".join(wanted)} (about {unit.seconds:.0f} s); call again')
            continue
        begun, error = time.monotonic(), None
        try:
            for key, row in unit.measure(wanted, left):
                results.add(unit.section, key, row)
                added += 1
                say(f'{unit.section}: {key}: {", ".join(f"{name} {value}" for name, value in row.items())}')
        except Exception as caught:  # whatever it is, the other sections have nothing to do with it
            error = caught
        for key in set(wanted) & set(results.missing(unit.section, wanted)) if error else ():
            results.add(unit.section, key, failed(error))
            added += 1
            say(f'{unit.section}: {key}: {failed(error)}')
        say(f'{unit.section}: {time.monotonic() - begun:.0f} s')
    return added
