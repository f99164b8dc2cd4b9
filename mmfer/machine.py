"""What this machine lets a process use: how many cores, and how they multiply."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS, SELF, CPUINFO = Path('/sys/fs/cgroup'), Path('/proc/self/cgroup'), Path('/proc/cpuinfo')
BFLOAT16 = ('amx_bf16', 'avx512_bf16', 'bf16')
"""Flags of x86 and ARM processors that multiply in bfloat16, the fastest first."""


def usable_cores() -> int:
    """Cores that this process may use: those that it is bound to, and no more than the limit of its container.

    `os.cpu_count`, and torch with it, counts all cores of the machine: in a container that was given 2 of 64, torch
    would compute with 64 threads that wait for each other.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(1, min([bound, *_limits()]))


def processor_name() -> str:
    """What the processor calls itself, such as 'Intel(R) Xeon(R) Gold 6448Y'; 'CPU' where it does not say."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    return next(
        (name for line in lines if line.startswith('model name') and (name := line.partition(':')[2].strip())), 'CPU'
    )


def bfloat16_flag() -> str | None:
    """The flag by which this processor says that it multiplies in bfloat16; '' if it does not, None if none tells."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return None
    flags = next((line.partition(':')[2].split() for line in lines if line.startswith(('flags', 'Features'))), None)
    return None if flags is None else next((flag for flag in BFLOAT16 if flag in flags), '')


def _limits() -> Iterator[int]:
    """Whole cores that the control groups of this process, of version 2 and 1, leave it; none where none limits it."""
    try:
        entries = [line.split(':', 2) for line in SELF.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in entries:
        if 'cpu' in controllers.split(','):
            group, files = CGROUPS / 'cpu', ['cpu.cfs_quota_us', 'cpu.cfs_period_us']
        elif not controllers:
            group, files = CGROUPS, ['cpu.max']
        else:
            continue
        # From inside a container its own group is often the root, and the path one that is not there.
        yield from _limit(group, files)
        for part in path.split('/'):
            if part:
                group = group / part
                yield from _limit(group, files)


def _limit(group: Path, files: list[str]) -> Iterator[int]:
    try:
        quota, period = ' '.join((group / file).read_text() for file in files).split()
    except (OSError, ValueError):
        return
    if quota != 'max' and int(quota) > 0:
        yield int(quota) // int(period)
