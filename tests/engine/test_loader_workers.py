"""Loaders' workers live through the signals that stop a run, and seed as they did before."""

import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmfer.engine.loader_workers import keep_through_signals

pytestmark = pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')


class Pids(Dataset):
    """Gives the process that reads, and what its own beginning has left."""

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return torch.tensor([os.getpid(), int(os.environ.get('BEGUN', -1))])


def begin(worker):
    os.environ['BEGUN'] = str(worker)


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGHUP', 'SIGINT'])
def test_a_worker_that_gets_a_signal_goes_on(name):
    loader = DataLoader(Pids(), batch_size=1, num_workers=1, worker_init_fn=begin)
    keep_through_signals(loader)
    pids = set()
    for i, (batch,) in enumerate(loader):
        pids.add(int(batch[0]))
        assert int(batch[1]) == 0
        if i == 3:
            os.kill(int(batch[0]), getattr(signal, name))
    assert i == 39
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_a_loader_without_workers_stays_as_it_is():
    loader = DataLoader(Pids(), worker_init_fn=begin)
    keep_through_signals(loader)
    assert loader.worker_init_fn is begin
