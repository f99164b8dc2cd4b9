"""Steps of all methods on batches that are ready, in every setting."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from benchmarks.gpu.cards import share_of_peak
from benchmarks.gpu.plan import Measured, Unit
from benchmarks.gpu.profile import launches_and_waits
from benchmarks.gpu.results import REFUSED, failed
from benchmarks.step import MODELS_MEASURED, Stepper


@dataclass(frozen=True)
class Setting:
    """How steps are run.

    Args:
        size: Side of the faces.
        batch: Faces a step.
        precision: 'tf32': float32, of which matrix units read 19 bits; 'bf16': autocast to bfloat16.
        channels_last: Whether tensors are held [N, H, W, C].
        backend: Of `torch.compile`; empty for none.
    """

    size: int
    batch: int
    precision: str
    channels_last: bool = False
    backend: str = ''

    def __str__(self) -> str:
        more = ', channels_last' * self.channels_last + ', compiled' * bool(self.backend)
        return f'{self.size} px, batch {self.batch}, {self.precision}{more}'


FULL = {  # by rank, with a guess of the seconds
    Setting(224, 128, 'bf16'): (0, 75),
    Setting(224, 128, 'tf32'): (50, 50),
    Setting(224, 128, 'bf16', channels_last=True): (51, 50),
    Setting(224, 512, 'bf16'): (60, 60),
    Setting(224, 512, 'bf16', channels_last=True): (61, 60),
    Setting(224, 512, 'tf32'): (62, 90),
    Setting(224, 128, 'bf16', channels_last=True, backend='inductor'): (70, 150),
    Setting(224, 512, 'bf16', channels_last=True, backend='inductor'): (71, 150),
    Setting(224, 128, 'bf16', backend='inductor'): (72, 150),
    Setting(224, 128, 'tf32', backend='inductor'): (73, 150),
    Setting(224, 128, 'tf32', channels_last=True): (74, 50),
    Setting(224, 512, 'tf32', channels_last=True): (75, 90),
}
NARROW = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
SMOKE = {
    Setting(64, 4, 'bf16'): (0, 0),
    Setting(64, 4, 'tf32', channels_last=True, backend='eager'): (50, 0),
}


def units(device: str, smoke: bool) -> list[Unit]:
    """A unit a setting: its models are timed in the same rounds."""
    steppers = Steppers(device, smoke)
    models = ('plain', 'LA-Net') if smoke else tuple(MODELS_MEASURED)
    rounds, steps = (1, 1) if smoke else (5, 6)
    return [
        Unit(
            'steps',
            tuple(f'{setting}: {model}' for model in models),
            rank,
            seconds,
            partial(measure, setting, steppers, rounds, steps),
        )
        for setting, (rank, seconds) in (SMOKE if smoke else FULL).items()
    ]


class Steppers:
    """Models of one size and batch, built once for all settings of it.

    Args:
        device: 'cuda' or 'cpu'.
        smoke: Whether they have few channels.
    """

    def __init__(self, device: str, smoke: bool):
        self.device, self.options = device, NARROW if smoke else {}
        self._kept: dict[str, Stepper] = {}
        self._of: object = None

    def get(self, model: str, setting: Setting) -> Stepper:
        """A model in a setting, not compiled."""
        of = (setting.size, setting.batch, setting.backend)
        if of != self._of:
            self._kept.clear()
            self._of = of
            if self.device == 'cuda':
                torch.cuda.empty_cache()
        if model not in self._kept:
            self._kept[model] = Stepper(model, setting.size, setting.batch, self.device, more=self.options)
        stepper = self._kept[model]
        stepper.amp = setting.precision == 'bf16'
        stepper.lay_out(torch.channels_last if setting.channels_last else torch.contiguous_format)
        return stepper


def compile_refusal(model: nn.Module) -> str | None:
    """Why the network of a built model may not be compiled, or None: it may."""
    taps = [path for path in model.supervision.taps.paths.values() if path.split('.')[0] == 'backbone']
    return f'the hook of a tap in the network ({", ".join(taps)})' if taps else None


@contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """In 'tf32' all products of float32 may be rounded so; else it is torch's default, convolutions alone."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high' if precision == 'tf32' else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def measure(
    setting: Setting, steppers: Steppers, rounds: int, steps: int, wanted: list[str], _seconds: float
) -> Measured:
    """The rows of a setting; ratios refer to the plain network, which runs along in any case."""
    keys = {key.rpartition(': ')[2]: key for key in wanted}
    ready: dict[str, Stepper] = {}
    flops: dict[str, int] = {}
    times: dict[str, list[float]] = {}
    with matrix_products(setting.precision):
        for model in dict.fromkeys(['plain', *keys]):
            try:
                stepper = steppers.get(model, setting)
                reason = compile_refusal(stepper.model) if setting.backend else None
                if reason:
                    yield keys[model], {REFUSED: reason}
                    continue
                flops[model] = stepper.flops()
                if setting.backend:
                    stepper.model.backbone.compile(backend=setting.backend)
                for _ in range(2):
                    stepper.step()
                ready[model], times[model] = stepper, []
            except Exception as error:  # the others go on; what is yielded for is asked for
                if model in keys:
                    yield keys[model], failed(error)
        for _ in range(rounds):
            for model in list(ready):
                try:
                    times[model].append(ready[model].seconds(steps))
                except Exception as error:
                    del ready[model]
                    if model in keys:
                        yield keys[model], failed(error)
        plain: dict[str, float] = {}
        for model, stepper in ready.items():
            seconds, memory = statistics.median(times[model]), stepper.peak_bytes() / 2**20
            if model == 'plain':
                plain = dict(seconds=seconds, memory=memory)
            if model not in keys:
                continue
            launches, waits = launches_and_waits(stepper.step, stepper.device)
            yield (
                keys[model],
                {
                    'ms': 1e3 * seconds,
                    'ratio': seconds / plain['seconds'] if plain else None,
                    'counted': flops[model] / flops['plain'] if plain else None,
                    'MiB': memory,
                    'ratio of MiB': memory / plain['memory'] if plain else None,
                    'images/s': setting.batch / seconds,
                    '% of bf16 peak': share_of_peak(device_name(stepper.device), flops[model], seconds),
                    'launches': launches,
                    'waits': waits,
                    'of rounds': rounds,
                    'slowest round': max(times[model]) / seconds,
                },
            )


def device_name(device: str) -> str:
    """That of the card, or 'CPU'."""
    return torch.cuda.get_device_name() if device == 'cuda' else 'CPU'
