"""Loaders' workers live through the signals that stop a run, and seed as they did before."""

import multiprocessing
import os
import signal
import time

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmfer.engine.loader_workers import end_workers, enforce_timeout, keep_through_signals

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


def read_all(batches):
    try:
        for _ in batches:
            pass
    finally:
        end_workers()  # before torch asks them to end, which stopped ones do not hear


@pytest.mark.parametrize('waiting', [False, True], ids=['nothing is ready', 'batches are ready'])
def test_a_stopped_worker_is_waited_for_no_longer_than_the_limit(waiting):
    loader = DataLoader(Pids(), batch_size=1, num_workers=2, timeout=1)
    enforce_timeout(loader)
    batches = iter(loader)
    next(batches)
    if waiting:
        time.sleep(0.5)  # both workers have read ahead; what they read is opened with their help
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match='DataLoader timed out after 1 seconds'):
        read_all(batches)
    assert time.monotonic() - begun < 30


def test_a_loader_that_may_wait_gives_what_it_gave_and_leaves_no_alarm():
    before = signal.getsignal(signal.SIGALRM)
    loader = DataLoader(Pids(), batch_size=16, num_workers=1, timeout=60)
    enforce_timeout(loader)
    assert [len(batch) for batch in loader] == [16, 16, 8]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_loader_that_waits_for_ever_has_no_alarm():
    loader = DataLoader(Pids(), batch_size=16, num_workers=1)
    enforce_timeout(loader)
    assert type(loader) is DataLoader
