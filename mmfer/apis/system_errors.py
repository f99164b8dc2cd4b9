"""What the system says of files, as sentences with a cure."""

from __future__ import annotations

import errno
import os
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def of_system(error: OSError) -> str:
    """What the system says of a file, and what one may do."""
    name, why = error.filename or 'what was to be written', os.strerror(error.errno or 0)
    if error.errno in NO_ROOM:
        folder = Path(error.filename).parent if error.filename else '.'
        return (
            f'there is no room for {name} ({why}): make some (df -h {folder} shows how much there is), then try again'
        )
    if error.errno == errno.EROFS:
        return f'{name} cannot be written ({why}): name a folder that can be written to'
    if error.errno in (errno.EACCES, errno.EPERM):
        return f'{name} cannot be used ({why}): let its owner or chmod permit it, or name another place'
    return f'{name}: {why}'
