"""The launch scripts: what they start and pass on, and what ends them.

tests/e2e/test_two_processes.py looks at a whole run.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmfer.structures.newest_checkpoint import newest_checkpoint

ROOT = Path(__file__).parents[2]

ONE_FAILS = """
import os
import sys
import time

assert os.environ['OMP_NUM_THREADS'] == '3'
if os.environ['RANK'] == '1':
    sys.exit('rank 1 gives up on ' + repr(sys.argv[1:]))
time.sleep(300)
"""


@pytest.fixture
def tools(tmp_path):
    """The launch scripts, to be run beside a stand-in for what they launch."""
    folder = tmp_path / 'tools'
    folder.mkdir()
    for script in ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'dist_launch.py'):
        shutil.copy(ROOT / 'tools' / script, folder)
    return folder


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def launch(*command, **environment):
    outer = {name: value for name, value in os.environ.items() if name not in ('OMP_NUM_THREADS', 'PORT', 'NNODES')}
    outer |= dict(CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable, PYTHONPATH=str(ROOT)) | environment
    return subprocess.run([str(part) for part in command], env=outer, capture_output=True, text=True, timeout=300)


def test_a_process_that_fails_ends_the_launch(tools):
    (tools / 'train.py').write_text(ONE_FAILS)
    done = launch(tools / 'dist_train.sh', 'some config.py', 2, '--cfg-options', 'a=1 2', OMP_NUM_THREADS='3')
    assert done.returncode != 0
    arguments = ['some config.py', '--launcher', 'pytorch', '--cfg-options', 'a=1 2']
    assert f'rank 1 gives up on {arguments}' in done.stderr


def test_a_checkpoint_is_tested_by_several_processes(tools):
    python = executable(tools / 'python', '#!/bin/sh\necho "$OMP_NUM_THREADS: $*"\n')
    done = launch(tools / 'dist_test.sh', 'config.py', 'epoch_1.pth', 1, '--out', 'faces.csv', PYTHON=python)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'{os.cpu_count()}: {tools}/dist_launch.py --nnodes=1 ')
    arguments = 'config.py epoch_1.pth --launcher pytorch --out faces.csv'
    assert done.stdout.endswith(f'--nproc_per_node=1 {tools}/test.py {arguments}\n')


@pytest.mark.parametrize(
    ('script', 'arguments'),
    [
        ('dist_train.sh', ['config.py']),
        ('dist_train.sh', ['config.py', '--amp']),
        ('dist_train.sh', ['config.py', '0']),
        ('dist_test.sh', ['config.py', '2']),
        ('dist_test.sh', ['config.py', 'epoch_1.pth', 'two']),
        ('slurm_train.sh', ['partition', 'config.py']),
    ],
)
def test_missing_arguments_print_the_usage(tools, script, arguments):
    done = launch(tools / script, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f'usage: tools/{script} ')


def test_without_an_active_environment_the_projects_own_is_used(tools):
    executable(tools.parent / '.venv' / 'bin' / 'python', '#!/bin/sh\necho "own environment: $*"\n')
    done = launch(tools / 'dist_train.sh', 'config.py', 2, PYTHON='', VIRTUAL_ENV='', CONDA_PREFIX='')
    assert done.stdout.startswith(f'own environment: {tools}/dist_launch.py --nnodes=1 ')
    assert done.stdout.endswith(f'{tools}/train.py config.py --launcher pytorch\n')


def test_several_machines_meet_at_the_address_given(tools):
    python = executable(tools / 'python', '#!/bin/sh\necho "$*"\n')
    machines = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='4000')
    done = launch(tools / 'dist_train.sh', 'config.py', 8, PYTHON=python, **machines)
    assert '--nnodes=2 --node_rank=1 --master_addr=10.0.0.1 --master_port=4000 --nproc_per_node=8' in done.stdout
    del machines['MASTER_ADDR']
    done = launch(tools / 'dist_train.sh', 'config.py', 8, PYTHON=python, **machines)
    assert done.returncode != 0
    assert 'MASTER_ADDR' in done.stderr


def test_slurm_gets_one_task_a_gpu_and_a_port_of_the_jobs_own(tools, tmp_path):
    fake_srun = '#!/bin/bash\necho "$*" > "$(dirname "$0")/asked"\nwhile [[ $1 == --* ]]; do shift; done\n"$@"\n'
    executable(tmp_path / 'srun', fake_srun)
    python = executable(tmp_path / 'python', '#!/bin/sh\necho "port $MASTER_PORT threads $OMP_NUM_THREADS: $*"\n')
    environment = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}', PYTHON=python, SLURM_JOB_ID='40007', GPUS='4')
    done = launch(tools / 'slurm_train.sh', 'gpu', 'lanet', 'config.py', '--amp', SRUN_ARGS='--qos=high', **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'port 20007 threads 5: -u {tools}/train.py config.py --launcher slurm --amp\n'
    asked = (tmp_path / 'asked').read_text()
    for option in ('--partition=gpu', '--job-name=lanet', '--ntasks=4', '--gres=gpu:4', '--qos=high'):
        assert f'{option} ' in asked
    launch(tools / 'slurm_train.sh', 'cpu', 'lanet', 'config.py', GPUS_PER_NODE='0', **environment)
    assert '--gres' not in (tmp_path / 'asked').read_text()


SIGNALLED = (
    *('train_cfg.max_epochs=200', 'train_dataloader.batch_size=4', 'train_dataloader.num_workers=1'),
    *('train_dataloader.dataset.num=16', 'val_dataloader.dataset.num=7', 'val_dataloader.num_workers=0'),
    *('val_dataloader.persistent_workers=False', 'model.backbone.base_channels=8', 'model.backbone.stem_channels=8'),
    *('model.head.in_channels=64', 'model.supervision.lanet.branches.keys.queue_size=20'),
)


@pytest.mark.parametrize('name', ['SIGUSR1', 'SIGKILL'])
def test_what_ends_torchrun_ends_its_processes_behind_a_checkpoint(name, tmp_path):
    folder, log = tmp_path / 'run', tmp_path / 'log'
    words = ['tools/dist_train.sh', 'configs/lanet/r18_synthfaces.py', '2', '--work-dir', str(folder)]
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    with log.open('w') as output:
        launcher = subprocess.Popen(
            [*words, '--cfg-options', *SIGNALLED], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    deadline = time.monotonic() + 240
    while not (folder / 'epoch_1.pth').exists() and launcher.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    ranks = [int(word) for word in Path(f'/proc/{launcher.pid}/task/{launcher.pid}/children').read_text().split()]
    assert len(ranks) == 2, log.read_text()
    launcher.send_signal(getattr(signal, name))
    code = launcher.wait(120)
    while any(Path(f'/proc/{rank}').exists() for rank in ranks) and time.monotonic() < deadline + 60:
        time.sleep(0.1)
    assert not [rank for rank in ranks if Path(f'/proc/{rank}').exists()]
    assert code == (75 if name == 'SIGUSR1' else -signal.SIGKILL)
    said = log.read_text()
    assert 'Traceback' not in said
    why = 'SIGTERM' if name == 'SIGUSR1' else 'the end of the process that started it'
    assert f'mmfer: stopped by {why}; to go on: ' in said
    newest = newest_checkpoint(folder)
    assert newest.newest is not None
    assert newest.damaged == ()
