"""Launches and waits of a step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.profiler import ProfilerActivity, profile, record_function

MIB = 2**20
LAUNCH = re.compile(r'(cuda|cu)(Launch(Cooperative)?Kernel|GraphLaunch)')
WAIT = re.compile(r'cuda(Device|Stream|Event)Synchronize|cudaMemcpy(_v\d+)?$')
"""Calls in which the processor waits for the card; reading a number (`.item()`) ends in such a call."""
STEP = 'a step of benchmarks.gpu'


@contextmanager
def peak_memory(device: str) -> Iterator[list[float]]:
    """Fills a list with the most MiB that tensors held at a time within, beside what was held before; on a CPU none."""
    peak: list[float] = []
    before = torch.cuda.memory_allocated() if device == 'cuda' else 0
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    yield peak
    if device == 'cuda':
        peak.append((torch.cuda.max_memory_allocated() - before) / MIB)


def launches_and_waits(step: Callable[[], object], device: str) -> tuple[int | None, int | None]:
    """How many kernels (or graphs) a step launches, and how often it waits for the device.

    None on a CPU, and where the profiler may not look at the card.
    """
    on_gpu = device == 'cuda'
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]
    if on_gpu:
        torch.cuda.synchronize()
    with profile(activities=activities) as profiler, record_function(STEP):
        step()
    events = profiler.profiler.kineto_results.events()
    counts = counted((event.name(), event.start_ns(), event.duration_ns()) for event in events)
    return counts if counts[0] else (None, None)


def counted(events: Iterable[tuple[str, int, int]]) -> tuple[int, int]:
    """Launches and waits within the step.

    Args:
        events: Name, start and length of each; the step's own is among them, on the processor and on the card.
    """
    events = list(events)
    # That of the card, where there is one, begins later.
    start, length = min((start, length) for name, start, length in events if name == STEP)
    names = [name for name, begun, _ in events if start <= begun <= start + length]
    return sum(bool(LAUNCH.match(name)) for name in names), sum(bool(WAIT.match(name)) for name in names)
