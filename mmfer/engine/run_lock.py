"""One training a folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mmengine.logging import print_log

LOCK = '.lock'


@contextmanager
def only_run_in(folder: str | Path) -> Iterator[None]:
    """Holds a folder while a block runs; the file `.lock` in it says who does.

    The system forgets the lock with the process that holds it, however that ends, so that none is ever stale; the file
    stays. Child processes, such as workers of loaders, do not hold it. On a network it holds for all machines where the
    file system has locks.

    Raises:
        ValueError: Another process holds it.
        OSError: The folder cannot be written to.
    """
    path = Path(folder) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.lockf(entry, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ValueError(
                    f'{folder} is in use by another training ({_holder(path)}): wait for its end, stop it, or name '
                    'another folder with --work-dir'
                ) from None
            print_log(f'{folder} cannot be locked ({error.strerror}): do not start two trainings in it', 'current')
        who = f'process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}'
        os.ftruncate(entry, 0)
        os.write(entry, who.encode())
        yield
    finally:
        os.close(entry)


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors='replace').strip()[:200] or 'it says not which'
    except OSError:
        return 'it says not which'
