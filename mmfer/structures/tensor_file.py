"""Files of torch.save, read as plain values and as they were written."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch


class UnreadableError(Exception):
    """A file of tensors is damaged, is none, or holds what only code could make."""


def read_tensor_file(path: str | Path) -> Any:
    """What torch.save wrote, on the CPU; no code from the file is run.

    Such a file is a zip, which has a checksum (CRC-32) of each of its parts. torch.load does not look at these, so that
    a flipped bit would be another weight; here they are compared, which takes as long as reading does. Files from
    before torch 1.6 have none.

    Raises:
        UnreadableError: It cannot be read, or differs from its checksums.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as parts:
                if (damaged := parts.testzip()) is not None:
                    raise UnreadableError(f'{damaged} is not what was written')
        return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # bytes that anybody has written may end torch and zipfile in any way
        raise UnreadableError(f'{path}: {type(error).__name__}: {error}') from error
