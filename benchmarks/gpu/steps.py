"""Steps of all methods on batches that are ready, in every setting."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch

from benchmarks.gpu.cards import share_of_peak
from benchmarks.gpu.plan import Measured, Unit
from benchmarks.gpu.profile import MIB, launches_and_waits
from benchmarks.gpu.results import REFUSED, Row, failed
from benchmarks.step import MODELS_MEASURED, Stepper
from mmfer.models.compilation import compile_in_place


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


@dataclass
class Timed:
    """A model that is ready, and what was measured of it."""

    stepper: Stepper
    flops: int
    times: list[float] = field(default_factory=list)
    mib: float = 0.0


class Steppers:
    """Models of one size and batch, built once for all settings of it that compile nothing.

    Args:
        device: 'cuda' or 'cpu'.
        smoke: Whether they have few channels.
    """

    def __init__(self, device: str, smoke: bool):
        self.device, self.options = device, NARROW if smoke else {}
        self._kept: dict[str, Stepper] = {}
        self._of: object = None

    def get(self, model: str, setting: Setting) -> Stepper:
        """A model in a setting, not compiled yet."""
        of = setting if setting.backend else (setting.size, setting.batch)  # what is compiled serves its setting alone
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
    ready: dict[str, Timed] = {}
    with matrix_products(setting.precision):
        for model in dict.fromkeys(['plain', *keys]):
            try:
                ready[model] = prepared(steppers.get(model, setting), setting)
                continue
            except Refused as reason:
                row = {REFUSED: str(reason)}
            except Exception as error:  # such as no memory: the others go on
                row = failed(error)
            if model in keys:
                yield keys[model], row
        for _ in range(rounds):
            for timed in ready.values():
                timed.times.append(timed.stepper.seconds(steps))
        for timed in ready.values():
            timed.mib = timed.stepper.peak_bytes() / MIB
        for model, timed in ready.items():
            if model in keys:
                yield keys[model], row_of(timed, ready.get('plain'), setting.batch)


class Refused(Exception):
    """Says why a model is not measured in a setting."""


def prepared(stepper: Stepper, setting: Setting) -> Timed:
    """A stepper that is warm, and compiled where it shall be.

    Raises:
        Refused: It may not be compiled.
    """
    flops = stepper.flops()  # before it is compiled: operations are counted where torch dispatches them
    if setting.backend:
        try:
            compile_in_place(stepper.model, backend=setting.backend)
        except ValueError as refusal:
            raise Refused(str(refusal)) from None
    for _ in range(2):
        stepper.step()
    return Timed(stepper, flops)


def row_of(timed: Timed, plain: Timed | None, batch: int) -> Row:
    """What is said of a model; without the plain one there are no ratios."""
    seconds, device = statistics.median(timed.times), timed.stepper.device
    launches, waits = launches_and_waits(timed.stepper.step, device)
    return {
        'ms': 1e3 * seconds,
        'ratio': plain and seconds / statistics.median(plain.times),
        'counted': plain and timed.flops / plain.flops,
        'MiB': timed.mib,
        'ratio of MiB': plain and timed.mib / plain.mib,
        'images/s': batch / seconds,
        '% of bf16 peak': share_of_peak(device_name(device), timed.flops, seconds),
        'launches': launches,
        'waits': waits,
        'of rounds': len(timed.times),
        'slowest round': max(timed.times) / seconds,
    }


def device_name(device: str) -> str:
    """That of the card, or 'CPU'."""
    return torch.cuda.get_device_name() if device == 'cuda' else 'CPU'
