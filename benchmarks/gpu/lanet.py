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
from benchmarks.gpu.profile import peak_memory
from benchmarks.gpu.results import Results, Row
from benchmarks.gpu.steps import NARROW, matrix_products
from mmfer.apis import train
from mmfer.cli.train import configure, parse_args
from mmfer.registry import HOOKS

CONFIG = 'configs/lanet/r18_rafdb.py'
EPOCHS, BATCH = 80, 128
STEPS = TRAIN // BATCH  # the rest of an epoch is left out


def units(device: str, smoke: bool, faces: Faces, results: Results) -> list[Unit]:
    """A unit a row; ours first, to which the authors' form is compared."""
    ours = {'mmfer, bf16': (10, 45), 'mmfer, bf16, packed': (11, 45), 'mmfer, float32': (52, 45)}
    theirs = {"authors' form, bf16": (20, 50), "authors' form, tf32": (53, 50)}
    if smoke:  # one of each
        ours, theirs = {'mmfer, bf16, packed': (10, 0)}, {"authors' form, bf16": (20, 0)}
    return [
        *(Unit('lanet', (key,), *when, partial(by_mmfer, faces, smoke)) for key, when in ours.items()),
        *(
            Unit('lanet', (key,), *when, partial(by_authors, device, faces, smoke, results))
            for key, when in theirs.items()
        ),
    ]


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


def by_mmfer(faces: Faces, smoke: bool, wanted: list[str], _seconds: float) -> Measured:
    """Three epochs of the published setting, of which the first warms up: 190 steps count, and two ends of epochs."""
    (key,) = wanted
    options: dict[str, Any] = {'model.pretrained': None, 'train_cfg.max_epochs': 3}
    for split in ('train', 'val', 'test'):
        options[f'{split}_dataloader.dataset.data_root'] = faces.root
        if key.endswith('packed'):
            options[f'{split}_dataloader.dataset.packed'] = faces.packed
    if smoke:
        options |= NARROW | {
            'train_cfg.max_epochs': 2,
            'train_dataloader.batch_size': 8,
            'val_dataloader.batch_size': 7,
            'data_preprocessor.size': 64,
            'model.supervision.lanet.branches.keys.queue_size': 32,
        }
    typed = [f'{name}={value}' for name, value in options.items()]
    amp = ['--amp'] if 'bf16' in key else []
    work_dir = faces.place / key.replace(', ', '_')
    cfg = configure(parse_args([CONFIG, '--work-dir', str(work_dir), *amp, '--cfg-options', *typed]))
    cfg.custom_hooks = [dict(type='mmfer.Stamps')]
    Stamps.times.clear()
    begun = time.perf_counter()
    with peak_memory('cuda' if torch.cuda.is_available() else 'cpu') as peak:
        train(cfg)
    row = projected(Stamps.times, begun, cfg.train_dataloader.batch_size)
    yield key, {**row, 'MiB': max(peak, default=None), 'faces': faces.kind}


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


def by_authors(
    device: str, faces: Faces, smoke: bool, results: Results, wanted: list[str], _seconds: float
) -> Measured:
    """Steps with the input that the form has, and with a batch that is ready; evaluations are not counted."""
    (key,) = wanted
    precision = key.rpartition(', ')[2]
    size, batch, queue, steps = (64, 8, 32, 1) if smoke else (224, BATCH, 8192, 60)
    workers = 0 if smoke else os.cpu_count() or 1
    with matrix_products(precision), peak_memory(device) as peak:
        form = AuthorsForm(faces.train, size, batch, queue, device, amp=precision == 'bf16')
        batches = batches_of(Path(faces.root), size, batch, workers)
        ready = form.to_device(next(batches))
        alone = seconds_of(lambda: form.step(*ready), steps, device)
        fed = seconds_of(lambda: form.step(*form.to_device(next(batches))), steps, device)
        batches.close()
    ours = {row.get('ms') for name, row in results.rows('lanet').items() if name.startswith('mmfer, bf16')} - {None}
    yield (
        key,
        {
            'ms': 1e3 * fed,
            'images/s': batch / fed,
            'minutes of 80 epochs': EPOCHS * STEPS * fed / 60,
            'of steps': steps,
            'ms, batch ready': 1e3 * alone,
            "times mmfer's bf16": 1e3 * fed / min(ours) if ours else None,
            'MiB': max(peak, default=None),
            'loader workers': workers,
            'faces': faces.kind,
        },
    )
