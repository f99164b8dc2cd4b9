"""Where runs are computed: GPUs, or cores where there are none; and which of a grid's runs a machine takes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from mmfer.machine import processor_name, usable_cores

_T = TypeVar('_T')


@dataclass(frozen=True)
class Place:
    """Where one run at a time is computed."""

    device: str
    """As results name it."""
    environment: Mapping[str, str]
    """Of its processes."""


def find_places(jobs: int | None = None) -> list[Place]:
    """Where runs go at the same time.

    Args:
        jobs: How many. Defaults to None: one a GPU, or one a core.

    Returns:
        GPUs in turns; without any, equal shares of the cores that this process may use.
    """
    gpus = torch.cuda.device_count()
    if gpus:
        shown = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',')
        names = shown if len(shown) == gpus and all(shown) else [str(number) for number in range(gpus)]
        return [
            Place(torch.cuda.get_device_name(job % gpus), dict(CUDA_VISIBLE_DEVICES=names[job % gpus]))
            for job in range(jobs or gpus)
        ]
    cores = usable_cores()
    threads = max(1, cores // (jobs or cores))
    device = f'{processor_name()}, {threads} thread{"s" * (threads > 1)}'
    limits = dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS'), str(threads))
    return [Place(device, limits) for _ in range(jobs or cores)]


def share_of(items: Sequence[_T], typed: str | None) -> list[_T]:
    """What this machine takes of them.

    Args:
        items: All, in an order that is the same on all machines.
        typed: '2/5', the second of five. Defaults to None: in a job array of Slurm its task's share, else all.

    Raises:
        ValueError: It is none.
    """
    if typed is not None:
        own, _, of = typed.partition('/')
        if not (own.isdigit() and of.isdigit() and 1 <= int(own) <= int(of)):
            raise ValueError(f'--share {typed}: give which of how many, such as 2/5')
        return list(items[int(own) - 1 :: int(of)])
    task = {name: int(os.environ.get(f'SLURM_ARRAY_TASK_{name}') or 0) for name in ('ID', 'MIN', 'STEP', 'COUNT')}
    if not task['COUNT']:
        return list(items)
    return list(items[(task['ID'] - task['MIN']) // (task['STEP'] or 1) :: task['COUNT']])
