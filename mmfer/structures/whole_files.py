"""Files that are there when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def written_whole(
    path: str | Path, mode: str = 'w', part: str = 'part', on_disk: bool = False, **options: Any
) -> Iterator[IO[Any]]:
    """Opens a file that takes its name once it is complete: a kill leaves what was there before. Its folder is made.

    Args:
        path: The file.
        mode: As of ``open``, 'w' or 'wb'.
        part: What its name ends with until then; of its own where several processes may write at the same time.
        on_disk: Whether it is on the disk before it takes its name, so that a power cut leaves what was there, too.
        **options: As of ``open``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.{part}')
    unfinished.unlink(missing_ok=True)  # what a kill left, or a link that somebody has put there
    try:
        with open(unfinished, mode, **options) as stream:
            yield stream
            if on_disk:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(unfinished, path)
        if on_disk:
            _sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say what it has no room for
        raise
    finally:
        unfinished.unlink(missing_ok=True)  # what a failure left


def _sync_folder(folder: Path) -> None:
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    except OSError:  # some network file systems sync no folders
        pass
    finally:
        os.close(entry)
