"""Loaders whose workers have stopped or died: what to say, and how a run ends all the same."""

from __future__ import annotations

import os
import re
import sys

from mmfer.engine.loader_workers import end_workers

LONGEST_WAIT = 300
"""Seconds that a loader waits for a batch: less than the ten minutes for which other processes wait in a collective."""
_ENDS = 5
"""Seconds that a killed worker may take to end."""
_WAITED = re.compile(r'DataLoader timed out after ([\d.]+) seconds')
_KILLED = re.compile(r'DataLoader worker \(pid (\d+)\) is killed by signal: ([\w ]+)')
_GONE = re.compile(r'DataLoader worker \(pid\(s\) ([\d, ]+)\) exited unexpectedly')
_GO_ON = 'go on with the same command and --resume'


def loader_fault(error: BaseException | None) -> str | None:
    """What is wrong with a loader, in one sentence; None where an error is none of torch's about its workers."""
    sentence = None
    while error is not None:  # that a worker is gone may have been noticed twice, the first time with the reason
        text = str(error)
        if match := _WAITED.search(text):
            sentence = (
                f'a loader has waited {match[1]} s for its workers in vain: a disk that hangs, such as one of a '
                f'network, or a worker that was stopped; see that the data can be read, and {_GO_ON}; where reading '
                'takes that long, wait longer: --cfg-options train_dataloader.timeout=3600 (or val_ or test_; 0: for '
                'ever)'
            )
        elif match := _KILLED.search(text):
            sentence = f'a worker of a loader (process {match[1]}) was ended by a signal ({match[2].strip()}): '
            if match[2].startswith('Bus'):
                full = '/dev/shm may be full, which in a container is small'  # noqa: S108  a sentence, no file
                sentence += f'{full} (docker run --shm-size=8g); {_GO_ON}'
            else:
                sentence += (
                    f'the system may have run out of memory; {_GO_ON}, with fewer workers if need be: --cfg-options '
                    'train_dataloader.num_workers=1 (or val_ or test_)'
                )
        elif (match := _GONE.search(text)) and sentence is None:
            sentence = f'a worker of a loader (process {match[1]}) has ended in the middle of its work; {_GO_ON}'
        error = error.__cause__ or error.__context__
    return sentence


def leave_no_worker() -> None:
    """Ends a loader's workers, whatever holds them, before this process ends.

    Python waits for its processes when it ends, for ever where one hangs in a system call of a dead disk. So where one
    does not end, this process does, with exit code 1.
    """
    workers = end_workers()
    for worker in workers:
        worker.join(_ENDS)
    if any(worker.is_alive() for worker in workers):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
