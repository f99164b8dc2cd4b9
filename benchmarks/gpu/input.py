"""Real input against the network's own rate: does the GPU wait for faces?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.gpu.faces import Faces
from benchmarks.gpu.plan import Measured, Unit
from benchmarks.gpu.steps import Setting, Steppers
from benchmarks.step import Stepper

LOADERS = {'unpacked': False, 'packed': True}
MODELS = ('plain', 'LA-Net')


def units(device: str, smoke: bool, faces: Faces) -> list[Unit]:
    """One unit: rates are compared, so they are measured after one another."""
    setting, steps = (Setting(64, 4, 'bf16'), 1) if smoke else (Setting(224, 128, 'bf16'), 60)
    steppers = Steppers(device, smoke)
    keys = [f'{name}, {of}' for name in LOADERS for of in ('input alone', *MODELS)]

    def measure(wanted: list[str], _seconds: float) -> Measured:
        yield from rates(steppers, setting, steps, faces, wanted)

    return [Unit('input', tuple(keys), 30, 60, measure)]


def rates(steppers: Steppers, setting: Setting, steps: int, faces: Faces, wanted: list[str]) -> Measured:
    """Images a second of the loader and the augmentation alone, and of training with them beside fixed tensors."""
    device = steppers.device
    ready = {model: steppers.get(model, setting) for model in MODELS}
    alone = {}
    for model, stepper in ready.items():
        size_bank(stepper, faces.train)
        alone[model] = setting.batch / seconds_of(stepper.step, steps, device)
    for name, packed in LOADERS.items():
        batches = faces.batches(setting.batch, packed, pin_memory=device == 'cuda')
        for of in ('input alone', *MODELS):
            key = f'{name}, {of}'
            if key not in wanted:
                continue
            stepper = ready[MODELS[0] if of == 'input alone' else of]
            step = trained_on(stepper, batches, trains=of in MODELS)
            rate = setting.batch / seconds_of(step, steps, device)
            row = {'images/s': rate, 'faces': faces.kind, 'of steps': steps}
            if of in MODELS:
                row |= {'images/s with fixed tensors': alone[of], '% of that': 100 * rate / alone[of]}
            yield key, row
        batches.close()


def trained_on(stepper: Stepper, batches: Iterator[dict[str, Any]], trains: bool = True) -> Callable[[], None]:
    """A step that takes a batch from a loader to the device, augments it, and trains on it or not."""

    def step() -> None:
        prepared = stepper.model.data_preprocessor(next(batches), training=True)
        if trains:
            stepper.inputs, stepper.batch = prepared['inputs'], prepared['data_samples']
            stepper.step()

    return step


def size_bank(stepper: Stepper, faces: int) -> None:
    """A row of the memory for every face, as real batches name any of them."""
    stepper.model.supervision.bank.allocate(torch.arange(faces, device=stepper.device) % 7, 7)


def seconds_of(step: Callable[[], object], steps: int, device: str) -> float:
    """Time of a step, of some behind a few that warm up, which follow one another without a wait."""
    for _ in range(max(steps // 6, 1)):
        step()
    if device == 'cuda':
        torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    if device == 'cuda':
        torch.cuda.synchronize()
    return (time.perf_counter() - begun) / steps
