"""Tensors that lie on a disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def mapped_zeros(folder: Path, shape: Sequence[int], dtype: torch.dtype, device: Any = 'cpu') -> Tensor:
    """A tensor of zeros in a file that is mapped into memory, of which the system holds as much as there is room for.

    The file has no name any more when this returns, and is gone when the tensor, or the process, is.

    Args:
        folder: On whose disk; it is made.
        shape: Of the tensor.
        dtype: Of its values.
        device: None but the CPU.

    Raises:
        ValueError: The device is another one.
        OSError: The disk has no room for it, or the folder cannot be written to.
    """
    if torch.device(device).type != 'cpu':
        raise ValueError(f'files are mapped into the memory of the CPU, not of {device}')
    folder.mkdir(parents=True, exist_ok=True)
    size = prod(shape)
    if not size:
        return torch.zeros(*shape, dtype=dtype)
    with tempfile.NamedTemporaryFile(dir=folder, prefix='sample_bank.') as file:
        try:  # all of it now: where a disk is full later on, a write to the mapped memory ends the process
            os.posix_fallocate(file.fileno(), 0, size * dtype.itemsize)
        except OSError as error:
            error.filename = str(folder)
            raise
        return torch.from_file(file.name, shared=True, size=size, dtype=dtype).view(*shape)
