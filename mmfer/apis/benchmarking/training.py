"""One training of a benchmark, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from mmfer.apis.benchmarking.places import Place
from mmfer.engine.run_lock import only_run_in
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

        Raises:
            ValueError: Another process trains in this folder: on a machine that shares the disk, or left behind.
        """
        with only_run_in(work_dir):  # free now; the training holds it from its start on
            pass
        started = time.monotonic()
        command = [sys.executable, '-m', 'mmfer', 'train', *words, '--work-dir', str(work_dir), '--resume', 'auto']
        with open(f'{work_dir}.log', 'ab') as log:
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
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        seconds = _add(Path(f'{work_dir}.seconds'), time.monotonic() - started)
        return seconds if code == 0 else None


def _add(path: Path, seconds: float) -> float:
    seconds += float(path.read_text()) if path.is_file() else 0
    with written_whole(path) as stream:
        stream.write(f'{seconds:.1f}\n')
    return seconds
