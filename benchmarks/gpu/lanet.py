"""LA-Net as it is trained, by `mmfer train`, and in its authors' algorithmic form: seconds of 80 epochs of RAF-DB."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.hooks import Hook

from benchmarks.gpu.authors_form import AuthorsForm
from benchmarks.gpu.authors_input import batches_of
from benchmarks.gpu.faces import TRAIN, Faces
from benchmarks.gpu.input import seconds_of
from benchmarks.gpu.plan import Measured, Unit
from benchmarks.gpu.results import Row
from benchmarks.gpu.steps import matrix_products
from mmfer.apis import train
from mmfer.cli.train import configure, parse_args
from mmfer.registry import HOOKS

CONFIG = 'configs/lanet/r18_rafdb.py'
EPOCHS, BATCH = 80, 128
STEPS = TRAIN // BATCH  # the rest of an epoch is left out
OURS = {'mmfer, bf16': (['--amp'], False), 'mmfer, bf16, packed': (['--amp'], True), 'mmfer, float32': ([], False)}
THEIRS = {"authors' form, bf16": 'bf16', "authors' form, tf32": 'tf32'}


def units(device: str, smoke: bool, faces: Faces) -> list[Unit]:
    """A unit a row; ours first, to which ratios refer."""
    ours = [
        Unit('lanet', (key,), rank, 45, partial(by_mmfer, faces, smoke, number))
        for number, (key, rank) in enumerate(zip(OURS, (10, 11, 58), strict=True))
    ]
    theirs = [
        Unit('lanet', (key,), rank, 50, partial(by_authors, device, faces, smoke))
        for key, rank in zip(THEIRS, (20, 52), strict=True)
    ]
    return [*ours, *theirs]


@HOOKS.register_module()
class Stamps(Hook):
    """Notes when steps and epochs begin and end, the device's work done."""

    times: ClassVar[list[tuple[str, int, float]]] = []

    def _note(self, what: str, step: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append((what, step, time.perf_counter()))

    def before_train_epoch(self, runner: Any) -> None:
        """The first batch has not been asked for."""
        self._note('epoch', runner.iter)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """The last step of an epoch is done; between the others nothing waits."""
        if batch_idx + 1 == len(runner.train_dataloader):
            self._note('steps', runner.iter + 1)

    def after_train(self, runner: Any) -> None:
        """The last epoch's evaluation and checkpoint are done."""
        self._note('end', runner.iter)


def by_mmfer(faces: Faces, smoke: bool, number: int, wanted: list[str], _seconds: float) -> Measured:
    """Three epochs of the published setting, of which the first warms up: 190 steps count, and two ends of epochs."""
    (key,) = wanted
    arguments, packed = OURS[key]
    root, work_dir = faces.root, faces.place / f'run_{number}'
    options = [
        *('model.pretrained=None', 'train_cfg.max_epochs=3', 'default_hooks.noise_report=None'),
        *(f'train_dataloader.dataset.data_root={root}', f'val_dataloader.dataset.data_root={root}'),
        *(f'test_dataloader.dataset.data_root={root}',),
    ]
    if packed:
        options += [f'{split}_dataloader.dataset.packed={faces.packed}' for split in ('train', 'val')]
    if smoke:
        options += [
            *('train_cfg.max_epochs=2', 'train_dataloader.batch_size=16', 'data_preprocessor.size=64'),
            *('model.supervision.lanet.branches.keys.queue_size=32', 'val_dataloader.batch_size=7'),
        ]
    cfg = configure(parse_args([CONFIG, '--work-dir', str(work_dir), *arguments, '--cfg-options', *options]))
    cfg.custom_hooks = [dict(type='mmfer.Stamps')]
    Stamps.times.clear()
    begun = time.perf_counter()
    train(cfg)
    yield key, {**projected(Stamps.times, begun, cfg.train_dataloader.batch_size), 'faces': faces.kind}


def projected(times: list[tuple[str, int, float]], begun: float, batch: int) -> Row:
    """What 80 epochs take: all but the first epoch counts, and what is between the steps of two epochs.

    Args:
        times: What `Stamps` has noted.
        begun: Before anything was read.
        batch: Faces a step.
    """
    epochs = [(number, at) for what, number, at in times if what == 'epoch']
    ends = [(number, at) for what, number, at in times if what == 'steps']
    after = [at for _, at in epochs[1:]] + [at for what, _, at in times if what == 'end']
    counted = sum(end - first for (first, _), (end, _) in list(zip(epochs, ends, strict=True))[1:])
    seconds = sum(end - start for (_, start), (_, end) in list(zip(epochs, ends, strict=True))[1:]) / counted
    between = float(np.mean([later - end for (_, end), later in list(zip(ends, after, strict=True))[1:]]))
    return {
        'ms': 1e3 * seconds,
        'images/s': batch / seconds,
        's between epochs': between,
        's before the first': epochs[0][1] - begun,
        'minutes of 80 epochs': EPOCHS * (STEPS * seconds + between) / 60,
        'of steps': counted,
    }


def by_authors(device: str, faces: Faces, smoke: bool, wanted: list[str], _seconds: float) -> Measured:
    """Steps with the input that the form has, and with a batch that is ready; evaluations are not counted."""
    (key,) = wanted
    precision = THEIRS[key]
    size, batch, queue, steps = (64, 8, 32, 2) if smoke else (224, BATCH, 8192, 60)
    workers = 0 if smoke else os.cpu_count() or 1
    with matrix_products(precision):
        form = AuthorsForm(faces.train, size, batch, queue, device, amp=precision == 'bf16')
        batches = batches_of(Path(faces.root), size, batch, workers)
        ready = form.to_device(next(batches))
        alone = seconds_of(lambda: form.step(*ready), steps, device)
        if device == 'cuda':
            torch.cuda.reset_peak_memory_stats()
        fed = seconds_of(lambda: form.step(*form.to_device(next(batches))), steps, device)
        peak = torch.cuda.max_memory_allocated() / 2**20 if device == 'cuda' else None
        batches.close()
    yield (
        key,
        {
            'ms': 1e3 * fed,
            'images/s': batch / fed,
            'minutes of 80 epochs': EPOCHS * STEPS * fed / 60,
            'of steps': steps,
            'ms, batch ready': 1e3 * alone,
            'MiB': peak,
            'loader workers': workers,
            'faces': faces.kind,
        },
    )
