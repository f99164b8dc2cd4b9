"""Loaders' worker processes, which live as long as the process that they work for."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from typing import Any

from torch.utils.data import DataLoader

from mmfer.engine.interruption import SIGNALS


def keep_through_signals(loader: DataLoader[Any]) -> None:
    """Lets a loader's workers pass over the signals that stop a run.

    Slurm and a terminal's Ctrl-C signal all processes of a job. Workers that end at once would end the run in the
    middle of the step behind which it is to be saved. They end with their parent.
    """
    if loader.num_workers:
        loader.worker_init_fn = partial(_begin, then=loader.worker_init_fn)
        atexit.register(end_workers)  # before multiprocessing's own, which would ask them in vain


def _begin(worker: int, then: Callable[[int], None] | None) -> None:
    for name in (*SIGNALS, 'SIGINT'):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if then is not None:
        then(worker)


def enforce_timeout(loader: DataLoader[Any]) -> None:
    """Lets a loader with workers wait for a batch no longer than its `timeout`, whatever its workers do.

    torch's own limit holds while no batch is there. One that is there lies in a worker's shared memory, and is opened
    with that worker's help: for ever, where it has stopped behind its last batch.
    """
    if loader.num_workers and loader.timeout:
        loader.__class__ = LimitedLoader  # loaders are made by MMEngine, of torch's class


class LimitedLoader(DataLoader[Any]):
    """torch's loader, of which no batch takes longer than `timeout` seconds.

    Raises:
        RuntimeError: A batch took longer; worded as torch words it. In the main thread only, which alone an alarm can
            wake from a call of the system.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names a class of its own
        batches = super().__iter__()
        while True:
            with _alarm(self.timeout):
                batch = next(batches, _END)
            if batch is _END:
                return
            yield batch


_END = object()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wake(*_: Any) -> None:
        raise RuntimeError(f'DataLoader timed out after {seconds} seconds')

    before = signal.signal(signal.SIGALRM, wake)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def end_workers() -> list[BaseProcess]:
    """Ends all processes that this one has started, stopped ones too, which heed nothing gentler; returns them."""
    workers = active_children()
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler takes the end of a worker for a mistake
    for worker in workers:
        worker.kill()
    return workers
