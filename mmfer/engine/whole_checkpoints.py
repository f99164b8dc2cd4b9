"""How MMEngine writes and reads checkpoints here: whole, sealed, and compared with their seal."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.runner import runner as mmengine_runner
from mmengine.runner.checkpoint import CheckpointLoader, save_checkpoint
from torch import Tensor

from mmfer.structures.newest_checkpoint import not_whole
from mmfer.structures.tensor_file import (
    UnreadableError,
    check_whole,
    peek,
    read_tensor_file,
    save_sealed,
    write_sealed,
)
from mmfer.structures.whole_files import written_whole

BANK = 'sample_bank'
"""The key, in a checkpoint, of what is remembered per sample."""

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

    def save(self, content: Any, filepath: str | Path) -> None:
        """Writes what torch.save is given, with a seal, and without a copy of it in memory."""
        with written_whole(filepath, 'wb', on_disk=True) as stream:
            save_sealed(stream, content)


register_backend(WHOLE, WholeFileBackend, force=True)


def save_straight(checkpoint: dict[str, Any], filename: str, *args: Any, **kwargs: Any) -> None:
    """MMEngine's `save_checkpoint`, but past its copy of the whole file in memory where the backend is ours."""
    backend = get_file_backend(filename, backend_args=kwargs.get('backend_args'))
    if isinstance(backend, WholeFileBackend):
        backend.save(checkpoint, filename)
    else:
        save_checkpoint(checkpoint, filename, *args, **kwargs)


mmengine_runner.save_checkpoint = save_straight


class ColumnsInFile(Mapping[str, Tensor]):
    """What a checkpoint remembers per sample: a column is mapped into memory when it is asked for, and as long as used.

    A map of the whole file would count to the process until the last column is copied.

    Args:
        path: Of the checkpoint.
        names: Of its columns.
    """

    def __init__(self, path: Path, names: tuple[str, ...]):
        self._path, self._names = path, names

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        column: Tensor = peek(self._path)[BANK]['columns'][name]
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """What MMEngine loads files of this machine by: for `load_from`, `resume` and `init_cfg`.

    What is remembered per sample stays in the file until it is copied to where the run has its own: of a large training
    set it may fit neither in memory nor on the device.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, or holds more than tensors and plain values.
    """
    path, device = Path(filename).expanduser(), map_location or 'cpu'
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {filename}')
    try:
        if not isinstance(device, str | torch.device):
            return read_tensor_file(path, device)
        check_whole(path)
        try:
            content = peek(path)
        except UnreadableError:
            content = None  # of an old torch, whose files cannot be read bit by bit
        bank = content.get(BANK) if isinstance(content, dict) else None
        if not isinstance(bank, dict) or 'columns' not in bank:
            return read_tensor_file(path, device)
        names = tuple(bank.pop('columns'))  # before the rest is copied
        content = _moved(content, device)
        bank['columns'] = ColumnsInFile(path, names)
        return content
    except UnreadableError as error:
        raise ValueError(not_whole(path, error)) from None


def _moved(value: Any, device: str | torch.device) -> Any:
    """Tensors in nested containers, which stay what they are, copied from a file to a device."""
    if isinstance(value, Tensor):
        return value.to(device, copy=True)
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            value[key] = _moved(value[key], device)
    elif type(value) is tuple:
        return tuple(_moved(item, device) for item in value)
    return value
