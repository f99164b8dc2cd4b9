"""Where copies of what was read are kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_file(kind: str, key: str) -> Path | None:
    """Where something read is kept: ``$MMFER_CACHE/<kind>/<key>.npz``; by default in ``~/.cache/mmfer``.

    None where the variable is empty, or there is no home: nothing is kept.
    """
    folder = os.environ.get('MMFER_CACHE', '~/.cache/mmfer')
    try:
        return Path(folder).expanduser() / kind / f'{key[:20]}.npz' if folder else None
    except RuntimeError:  # in a container, with no HOME and a user that has no name
        return None
