"""What a supervised step begins with, and the precision and weights it runs with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from mmengine.logging import MessageHub
from torch import Tensor, nn

from mmfer.structures import FaceBatch
from mmfer.structures.ranges import check_range


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


class StepLog:
    """What parts show in the log: numbers beside the losses, under the name of their method."""

    def __init__(self) -> None:
        self.figures: dict[str, Tensor] = {}
        self.method = self.part = ''

    def enter(self, where: str) -> None:
        """Says whose numbers follow."""
        _, self.method, _, self.part = where.split('.')

    def __call__(self, **figures: Tensor | float) -> None:
        """Notes numbers; tensors stay on the device, so that nothing waits for them here.

        Raises:
            ValueError: If a name contains "loss": MMEngine would add the number to what it minimises.
        """
        for name, value in figures.items():
            if 'loss' in name:
                raise ValueError(
                    f'{self.method}.{self.part} logs "{name}", but MMEngine minimises what is called "loss"; rename it'
                )
            self.figures[f'{self.method}.{name}'] = torch.as_tensor(value).detach().float()


@contextmanager
def frozen_buffers(model: nn.Module) -> Iterator[None]:
    """Runs the network again without a trace in its statistics: afterwards its buffers are what they were.

    Those of `supervision` are not looked after: the network's passes do not reach them.
    """
    buffers = [b for name, child in model.named_children() if name != 'supervision' for b in child.buffers()]
    before = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        if buffers:  # past autograd, which would count it as a change to what backward needs
            torch._foreach_copy_([buffer.data for buffer in buffers], before)


def checked_schedule(points: Sequence[Any], where: str) -> list[tuple[float, float]]:
    """The schedule [(epoch, value), ...] that a config gives.

    Raises:
        ValueError: It is none.
    """
    pairs = all(isinstance(point, Sequence) and len(point) == 2 for point in points)
    if not points or not pairs or any(late[0] <= early[0] for early, late in pairwise(points)):
        raise ValueError(
            f'{where}.loss_weight must be a number or [(epoch, weight), ...] with rising epochs, got {list(points)}'
        )
    for _, value in points:
        check_weight(value, where)
    return [(epoch, value) for epoch, value in points]


def check_weight(value: Any, where: str) -> None:
    """A term's weight is a number from 0.

    Raises:
        ValueError: It is not.
    """
    check_range(f'{where}.loss_weight', value, 0, why='what is minimised with a negative weight grows; 0 takes it out')


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
