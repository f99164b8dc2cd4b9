"""The same work on many things, in several processes."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from torch import distributed

Item = TypeVar('Item')
Result = TypeVar('Result')
_work: Callable[[Any], Any]


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """`work` of every item, in the order of the items.

    Args:
        work: What to do. With several processes it is pickled once for each; what takes long to make (a network) is
            best a `cached_property`, so that each makes its own.
        items: What to do it to.
        jobs: Processes; 1 works in this one.

    Raises:
        ValueError: A process ended before its work, such as for lack of memory; or `jobs` is not positive.
    """
    if jobs < 1:
        raise ValueError(f'--jobs must be at least 1, got {jobs}')
    if jobs == 1:
        yield from map(work, items)
        return
    # Not forked: a process that has used a GPU or threads does not survive that.
    pool = ProcessPoolExecutor(jobs, get_context('spawn'), _begin, (work,))
    try:
        yield from pool.map(_do, items)
    except BrokenProcessPool:
        raise ValueError(
            'one of the processes ended, for the reason printed above, or, where there is none, because '
            'memory ran out: run the same command with fewer --jobs; it goes on where it was'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def leave_together(code: int = 0, wait: bool = True) -> None:
    """Ends a process of several when all have done their work; does nothing where there is one.

    Args:
        code: The exit code.
        wait: Whether to wait for the others; not where they may never come here.

    The last to come is the main process, which writes results and pictures. Then each ends at once: a process that is
    taken down step by step now and then aborts (`terminate called without an active exception`, cause not known), for
    which torchrun ended the others in the middle of their work, and called the run failed.
    """
    if not distributed.is_initialized():
        return
    if wait:
        with suppress(RuntimeError):  # one that is through may be gone before another has seen that it came
            distributed.barrier()
    for child in active_children():  # the loaders' workers, which pass over what can be passed over
        child.kill()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _begin(work: Callable[..., Any]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent answers
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A pool's process would wait forever for a parent that was killed."""
    if (parent := parent_process()) is not None:  # it is
        parent.join()
    os._exit(1)


def _do(item: Any) -> Any:
    return _work(item)
