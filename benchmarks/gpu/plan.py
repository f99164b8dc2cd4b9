"""What is measured in which order, and within which time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.gpu.results import Results, Row, cell, failed, rounded

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


class TimeUp(BaseException):
    """Raised in whatever is measured when the minutes are over; no `Exception`, which units catch to go on."""


@contextmanager
def ends(until: float) -> Iterator[None]:
    """Raises `TimeUp` within, once it is that late; in the main thread only."""

    def over(*_: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(until - time.monotonic(), 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def work(units: Sequence[Unit], results: Results, until: float, say: Callable[[str], None]) -> int:
    """Measures what is missing, the most valued first; gives how many rows are new.

    What fails writes its error as a row, and the others go on.

    Args:
        units: What there is.
        results: Where rows go.
        until: No unit begins of which a guess says that it ends later, and none goes on; as `time.monotonic()`.
        say: Takes a line.
    """
    added = 0

    def add(section: str, key: str, row: Row) -> None:
        nonlocal added
        results.add(section, key, row)
        added += 1
        say(f'{section}: {key}: {", ".join(f"{name} {cell(rounded(value))}" for name, value in row.items())}')

    try:
        with ends(until):
            for unit in sorted(units, key=lambda unit: unit.rank):
                wanted = results.missing(unit.section, unit.keys)
                left = until - time.monotonic()
                if unit.seconds > left and wanted:
                    say(f'{unit.section}: no time for {", ".join(wanted)} (about {unit.seconds:.0f} s): call again')
                elif wanted:
                    measure(unit, wanted, left, add)
    except TimeUp:
        say('the minutes are over: call again for the rest')
    return added


def measure(unit: Unit, wanted: list[str], left: float, add: Callable[[str, str, Row], None]) -> None:
    """Adds a unit's rows as they come; where it fails, its error for those that are missing."""
    missing = dict.fromkeys(wanted)
    try:
        for key, row in unit.measure(wanted, left):
            add(unit.section, key, row)
            missing.pop(key)
    except Exception as error:  # whatever it is, the other sections have nothing to do with it
        for key in missing:
            add(unit.section, key, failed(error))
