"""One training of a benchmark, in a process of its own."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from mmfer.apis.benchmarking.places import Place
from mmfer.structures.whole_files import written_whole


class Trainings:
    """Processes that train, and can all be told to stop."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self.stopped = False

    def stop(self) -> None:
        """Tells all to save and to leave; no other starts."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                process.terminate()

    def train(self, words: Sequence[str], work_dir: Path, place: Place) -> float | None:
        """Trains, from where the work folder stands; what is said goes to `<work_dir>.log`.

        Args:
            words: What is typed behind `mmfer train`.
            work_dir: Of the run.
            place: Where it is computed.

        Returns:
            How many seconds it took, earlier attempts included; None where it did not finish.
        """
        started = time.monotonic()
        command = [sys.executable, '-m', 'mmfer', 'train', *words, '--work-dir', str(work_dir), '--resume', 'auto']
        with held(work_dir) as lock, open(f'{work_dir}.log', 'ab') as log:
            with self._lock:
                if self.stopped:
                    return None
                process = subprocess.Popen(
                    command,
                    env={**os.environ, **place.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a Ctrl-C of the terminal comes to us, who pass it on once
                    pass_fds=[lock],  # where we are killed, the folder is held until the training has ended, too
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        seconds = _add(Path(f'{work_dir}.seconds'), time.monotonic() - started)
        return seconds if code == 0 else None


@contextmanager
def held(work_dir: Path, wait: bool = False) -> Iterator[int]:
    """Holds a run's folder, against other machines that share the disk and processes that were left behind.

    Args:
        work_dir: The folder.
        wait: Whether to wait until it is free.

    Yields:
        The number of the file that holds it.

    Raises:
        BlockingIOError: Another process has it.
    """
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    file = Path(f'{work_dir}.lock')
    file.touch()
    with open(file, 'rb') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield lock.fileno()


def _add(path: Path, seconds: float) -> float:
    seconds += float(path.read_text()) if path.is_file() else 0
    with written_whole(path) as stream:
        stream.write(f'{seconds:.1f}\n')
    return seconds
