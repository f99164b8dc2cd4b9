"""A loader's worker that stops or is killed ends the run with a sentence, and no process stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e.clone import NARROW, ROOT, options, tiny
from mmengine.config import Config

from mmfer.apis.loader_faults import loader_fault
from mmfer.apis.training import forget_workers, limit_waiting

CONFIG = 'configs/baseline/r18_rafdb_96px_12e.py'
GO_ON = 'go on with the same command and --resume'
SAYS = {
    signal.SIGSTOP: (
        'mmfer: error: a loader has waited 3 s for its workers in vain: a disk that hangs, such as one of a network, '
        f'or a worker that was stopped; see that the data can be read, and {GO_ON}; where reading takes that long, '
        'wait longer: --cfg-options train_dataloader.timeout=3600 (or val_ or test_; 0: for ever)'
    ),
    signal.SIGKILL: (
        'mmfer: error: a worker of a loader (process {}) was ended by a signal (Killed): the system may have run out '
        f'of memory; {GO_ON}, with fewer workers if need be: --cfg-options train_dataloader.num_workers=1 (or val_ or '
        'test_)'
    ),
}


def workers(pid: int) -> list[int]:
    """Processes below a run that are Python's."""
    listed = [path.read_text() for path in Path(f'/proc/{pid}/task').glob('*/children')]
    return [int(word) for word in ' '.join(listed).split() if b'python' in Path(f'/proc/{word}/cmdline').read_bytes()]


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='looks for processes in /proc')
@pytest.mark.parametrize('how', list(SAYS), ids=lambda how: how.name)
def test_a_run_ends_with_a_sentence(how, clone, tmp_path):
    values = tiny(CONFIG) | NARROW | {'model.pretrained': None, 'train_cfg.max_epochs': 10_000}
    values |= {'train_dataloader.num_workers': 2, 'train_dataloader.timeout': 3, 'default_hooks.checkpoint': None}
    values |= {'train_dataloader.persistent_workers': True, 'train_cfg.val_interval': 20_000}
    run = subprocess.Popen(
        [sys.executable, 'tools/train.py', CONFIG, '--work-dir', str(tmp_path), *options(values)],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'MMFER_CACHE': ''},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline, found = time.monotonic() + 120, []
        while len(found) < 2 and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            found = workers(run.pid)
        time.sleep(2)  # in the middle of its steps
        assert len(found) == 2
        hit = found if how is signal.SIGSTOP else found[:1]
        for worker in hit:
            os.kill(worker, how)
        _, said = run.communicate(timeout=120)
    finally:
        run.kill()
    assert run.returncode == 1
    assert said.splitlines()[-1] == SAYS[how].format(hit[0])
    assert 'Traceback' not in said
    assert not [worker for worker in found if Path(f'/proc/{worker}').exists()]


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        (
            'DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader workers are out '
            'of shared memory.',
            'a worker of a loader (process 7) was ended by a signal (Bus error): /dev/shm may be full, which in a '
            f'container is small (docker run --shm-size=8g); {GO_ON}',
        ),
        (
            'DataLoader worker (pid(s) 7, 8) exited unexpectedly',
            f'a worker of a loader (process 7, 8) has ended in the middle of its work; {GO_ON}',
        ),
        ('Expected all tensors to be on the same device', None),
    ],
)
def test_what_torch_says_of_workers_is_said_plainly(text, sentence):
    assert loader_fault(RuntimeError(text)) == sentence


def test_the_reason_counts_where_a_dead_worker_is_noticed_twice():
    error = RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly')
    error.__cause__ = RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. ')
    assert 'was ended by a signal (Killed)' in loader_fault(error)


def test_loaders_with_workers_wait_for_five_minutes_unless_the_config_says_how_long():
    loaders = dict(train=dict(num_workers=2), val=dict(num_workers=2, timeout=0), test=dict(num_workers=0, timeout=7))
    cfg = Config({f'{split}_dataloader': loader for split, loader in loaders.items()})
    forget_workers(cfg)
    limit_waiting(cfg)
    assert [cfg[f'{split}_dataloader'].get('timeout') for split in loaders] == [300, 0, None]
