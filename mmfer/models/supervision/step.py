"""What a supervised step begins with, and the precision and weights it runs with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.logging import MessageHub
from torch import Tensor

from mmfer.structures import FaceBatch


def batch_rows(batch: FaceBatch) -> dict[str, Tensor]:
    """The rows of a batch under their Trace names."""
    rows = {
        'label': batch.label,
        'target': batch.label if batch.score is None else batch.score,
        'weight': torch.ones(len(batch), device=batch.label.device),
        'sample_idx': batch.sample_idx,
    }
    if batch.landmarks is not None:
        rows |= {'landmarks': batch.landmarks, 'landmark_valid': batch.landmark_valid}
    return rows


def detached(values: dict[str, Any]) -> dict[str, Any]:
    """The values without their graph."""
    return {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}


def interpolate(points: list[tuple[float, float]], epoch: int) -> float:
    """Value at an epoch of a schedule given as [(epoch, value), ...], linear in between, constant outside."""
    epochs, values = zip(*points, strict=True)
    return float(np.interp(epoch, epochs, values))


@contextmanager
def full_precision(device_type: str) -> Iterator[None]:
    """No autocast: losses overflow in half precision."""
    with torch.autocast(device_type, enabled=False):
        yield


def progress() -> dict[str, int]:
    """Epoch and number of epochs, which mmengine's RuntimeInfoHook keeps."""
    info = MessageHub.get_current_instance().runtime_info
    return {'epoch': int(info.get('epoch', 0)), 'max_epochs': int(info.get('max_epochs', 1))}
