"""How MMEngine writes and reads checkpoints here: whole, sealed, and compared with their seal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner.checkpoint import CheckpointLoader

from mmfer.structures.newest_checkpoint import not_whole
from mmfer.structures.tensor_file import UnreadableError, read_tensor_file, write_sealed
from mmfer.structures.whole_files import written_whole

WHOLE = 'mmfer.whole'
"""Its name, for `backend_args=dict(backend=...)`."""


class WholeFileBackend(LocalBackend):
    """MMEngine's local files, but whole ones only: whatever cuts a write off leaves the file that was there before."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes; those of torch.save get a seal."""
        with written_whole(filepath, 'wb', on_disk=True) as stream:
            write_sealed(stream, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes a text."""
        with written_whole(filepath, 'w', on_disk=True, encoding=encoding) as stream:
            stream.write(obj)

    def remove(self, filepath: str | Path) -> None:
        """Removes a file; one that is gone already is no mistake, as people tidy up, too."""
        try:
            os.remove(filepath)
        except FileNotFoundError:
            return


register_backend(WHOLE, WholeFileBackend, force=True)


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """What MMEngine loads files of this machine by: for `load_from`, `resume` and `init_cfg`.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, or holds more than tensors and plain values.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {filename}')
    try:
        return read_tensor_file(path, map_location or 'cpu')
    except UnreadableError as error:
        raise ValueError(not_whole(path, error)) from None
