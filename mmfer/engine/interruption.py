"""What tells a training to stop: signals of a scheduler, and the end of the process that started it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mmengine.dist import get_world_size
from torch import Tensor, distributed, tensor
from torch.distributed import ReduceOp

STOPPED = 75
"""The exit code of a training that was told to stop and can be gone on with: EX_TEMPFAIL of sysexits.h."""

SIGNALS = ('SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGHUP')
"""Slurm, Kubernetes and torchrun send the first; `#SBATCH --signal=USR1@120` one of its user's choice."""

PATIENCE = 30
"""Seconds that a rank has to save after its launcher is gone; torchrun grants as many after a SIGTERM."""

_PARENT = os.getppid()


class TrainingStopped(Exception):
    """A training was told to stop, and did.

    Args:
        reason: What told it, such as 'SIGTERM'.
        together: Whether all ranks stop behind the same step; else each leaves by itself.
    """

    def __init__(self, reason: str, together: bool):
        super().__init__(reason)
        self.reason, self.together = reason, together


class StopRequest:
    """Whether a signal has come. Handlers only note it: a step is never cut in two."""

    def __init__(self) -> None:
        self.reason = ''

    @contextmanager
    def listening(self, with_parent: bool = False) -> Iterator[StopRequest]:
        """Notes signals while a block runs; one that is ignored already, as SIGHUP under nohup, stays so.

        Args:
            with_parent: Whether the end of the parent process counts, too: torchrun's ranks would go on without it.
        """
        before = {}
        if threading.current_thread() is threading.main_thread():
            for name in SIGNALS:
                number = getattr(signal, name)
                if signal.getsignal(number) is signal.SIG_DFL:
                    before[number] = signal.signal(number, self._note)
        done = threading.Event()
        if with_parent:
            threading.Thread(target=self._watch, args=(done,), daemon=True).start()
        try:
            yield self
        finally:
            done.set()
            for number, handler in before.items():
                signal.signal(number, handler)

    def came(self, seconds: float = 2) -> bool:
        """Whether a signal has come, or comes within some seconds, as it reaches the processes one by one."""
        until = time.monotonic() + seconds
        while not self.reason and time.monotonic() < until:
            time.sleep(0.05)
        return bool(self.reason)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.reason = self.reason or signal.Signals(number).name

    def _watch(self, done: threading.Event) -> None:
        # tools/dist_train.sh says which it is, as it may be gone before anything is imported.
        launcher = int(os.environ.get('MMFER_LAUNCHER') or _PARENT)
        while os.getppid() == launcher:
            if done.wait(1):
                return
        self.reason = self.reason or 'the end of the process that started it'
        if not done.wait(PATIENCE):  # a rank that waits for one which is gone never comes to its next step
            os._exit(STOPPED)


class Agreement:
    """The largest of the numbers that the ranks have said, known one step later, so that nothing waits for it.

    The numbers go over a group of CPUs' own: a GPU is never asked.
    """

    def __init__(self) -> None:
        self._group: Any = distributed.new_group(backend='gloo') if get_world_size() > 1 else None
        self._said: Tensor = tensor(0)
        self._work: Any = None

    def say(self, number: int) -> int:
        """Says this rank's number; every rank must, at every step.

        Returns:
            What all have agreed on one step ago; with one process, its own number at once.
        """
        if self._group is None:
            return number
        agreed = 0
        if self._work is not None:
            self._work.wait()
            agreed = int(self._said)
        self._said = tensor(number)
        self._work = distributed.all_reduce(self._said, op=ReduceOp.MAX, group=self._group, async_op=True)
        return agreed

    def wait_for_all(self) -> None:
        """Returns when every rank has come here."""
        if self._group is not None:
            distributed.barrier(group=self._group)
