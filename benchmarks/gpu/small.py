"""Training on small faces that lie on the device as a whole: docs/benchmarks.md's runs, without any loader."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.gpu.input import seconds_of, size_bank, trained_on
from benchmarks.gpu.plan import Measured, Unit
from benchmarks.gpu.results import failed
from benchmarks.gpu.steps import Setting, Steppers
from benchmarks.step import MODELS_MEASURED
from mmfer.structures import FaceBatch


def units(device: str, smoke: bool) -> list[Unit]:
    """A unit a size and batch."""
    models = ('plain', 'LA-Net') if smoke else tuple(MODELS_MEASURED)
    sizes = {(48, 4): (55, 0)} if smoke else {(64, 64): (55, 40), (48, 64): (56, 40), (64, 512): (57, 60)}
    steps, faces = (1, 16) if smoke else (40, 12_271)
    return [
        Unit(
            'small',
            tuple(f'{size} px, batch {batch}: {model}' for model in models),
            rank,
            seconds,
            partial(rates, Steppers(device, smoke), Setting(size, batch, 'bf16'), steps, faces),
        )
        for (size, batch), (rank, seconds) in sizes.items()
    ]


def rates(steppers: Steppers, setting: Setting, steps: int, faces: int, wanted: list[str], _seconds: float) -> Measured:
    """Images a second, each model by itself."""
    device = steppers.device
    for key in wanted:
        try:
            stepper = steppers.get(key.rpartition(': ')[2], setting)
            size_bank(stepper, faces)
            step = trained_on(stepper, resident(setting.size, setting.batch, faces, device))
            seconds = seconds_of(step, steps, device)
            yield key, {'ms': 1e3 * seconds, 'images/s': setting.batch / seconds, 'faces': faces, 'of steps': steps}
        except Exception as error:
            yield key, failed(error)


def resident(size: int, batch: int, faces: int, device: str) -> Iterator[dict[str, Any]]:
    """Random batches, without an end, of a set of uint8 pictures of noise on the device."""
    images = torch.randint(0, 256, (faces, 3, size, size), dtype=torch.uint8, device=device)
    landmarks = torch.rand(faces, 68, 2, device=device) * size
    labels, valid = torch.arange(faces, device=device) % 7, torch.ones(faces, dtype=torch.bool, device=device)
    while True:
        for rows in torch.randperm(faces, device=device).split(batch):
            if len(rows) == batch:
                yield dict(
                    inputs=images[rows],
                    data_samples=FaceBatch(
                        label=labels[rows],
                        sample_idx=rows,
                        landmarks=landmarks[rows],
                        landmark_valid=valid[rows],
                    ),
                )
