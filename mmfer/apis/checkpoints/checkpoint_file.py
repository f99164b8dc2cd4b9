"""Reads a checkpoint as a file of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmfer.structures.naming import did_you_mean
from mmfer.structures.newest_checkpoint import not_whole
from mmfer.structures.tensor_file import UnreadableError, read_tensor_file


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint without running code from it, and compares it with its checksums.

    Raises:
        FileNotFoundError: There is no such file; the nearest one is named.
        ValueError: It is damaged, or no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        folder = path if path.is_dir() else path.parent
        here = [str(file) for file in sorted(folder.glob('*.pth'))]
        hint = did_you_mean(str(path), here) or (f'; {folder} has {", ".join(map(str, here[:3]))}' if here else '')
        raise FileNotFoundError(f'there is no checkpoint {path}{hint}')
    try:
        checkpoint = read_tensor_file(path)
    except UnreadableError as error:
        raise ValueError(not_whole(path, error)) from None
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, no checkpoint')
    checkpoint = dict(state_dict=checkpoint) if checkpoint.get('state_dict') is None else checkpoint
    parts = {
        key: checkpoint[key] for key in ('state_dict', 'ema_state_dict', 'meta') if checkpoint.get(key) is not None
    }
    if isinstance(meta := parts.get('meta'), dict) and meta.get('dataset_meta') is not None:
        parts['dataset_meta'] = meta['dataset_meta']
    for key, part in parts.items():
        if not isinstance(part, dict):
            raise ValueError(f'{path} is no checkpoint of a training: its {key} is a {type(part).__name__}')
    tensors = {
        key: {str(name): value for name, value in parts[key].items() if isinstance(value, Tensor)}
        for key in parts.keys() & {'state_dict', 'ema_state_dict'}
    }
    return checkpoint | tensors


def class_names(checkpoint: Mapping[str, Any], num_classes: int) -> list[str]:
    """The names that the training data gave the classes, or numbers where they had none.

    Raises:
        ValueError: There are names, but not as many as classes.
    """
    names = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    if not isinstance(names, list | tuple) or not names:
        return [f'class{i}' for i in range(num_classes)]
    if len(names) != num_classes:
        raise ValueError(
            f'the checkpoint names {len(names)} classes ({", ".join(map(str, names[:3]))}, ...), its network scores '
            f'{num_classes}: which scores are whose is not known; write it anew with the training that made it'
        )
    return list(map(str, names))
