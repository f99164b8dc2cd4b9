"""Loaders' worker processes, which live as long as the process that they work for."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Callable
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


def end_workers() -> list[BaseProcess]:
    """Ends all processes that this one has started, stopped ones too, which heed nothing gentler; returns them."""
    workers = active_children()
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler takes the end of a worker for a mistake
    for worker in workers:
        worker.kill()
    return workers
