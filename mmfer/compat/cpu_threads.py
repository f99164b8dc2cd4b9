"""As many threads as a process may use cores."""

import os

import torch
from mmengine.logging import print_log

from mmfer.machine import usable_cores


# Symptom: in a container that was given 2 of 64 cores, a step takes many times as long as on a machine with 2: torch
# computes with a thread for each core of the machine, and they wait for each other. tools/dist_train.sh shares out all
# cores, too. No thread upstream. Delete when torch heeds the limits of containers.
def limit_threads() -> None:
    """Takes threads away that have no core, and says so. More are never taken: sums would be added in another order."""
    cores = max(1, usable_cores() // int(os.environ.get('LOCAL_WORLD_SIZE', 1)))
    threads = torch.get_num_threads()
    if threads > cores:
        torch.set_num_threads(cores)
        print_log(
            f'torch computes with {cores} threads, not {threads}: this process may use {cores} of the '
            f'{os.cpu_count()} cores, and threads without a core make the others wait',
            'current',
        )
