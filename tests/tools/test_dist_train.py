"""The launch scripts: real torchrun with a stand-in for the trainer, then the real trainer on two CPU processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STAND_IN = """
import os
import sys
from torch import distributed
from mmengine.config import Config
from mmfer.compat import prepare

if 'fail' in sys.argv and os.environ['RANK'] == '1':
    sys.exit('rank 1 gives up')
prepare(Config(), sys.argv[sys.argv.index('--launcher') + 1])
ranks = [None] * distributed.get_world_size()
distributed.all_gather_object(ranks, (distributed.get_rank(), int(os.environ['LOCAL_RANK'])))
if distributed.get_rank() == 0:
    print('SEEN', distributed.get_backend(), ranks, sys.argv[1:], os.environ['OMP_NUM_THREADS'], flush=True)
"""


@pytest.fixture
def tools(tmp_path):
    """The launch scripts beside a train.py and a test.py that only say what reached them."""
    folder = tmp_path / 'tools'
    folder.mkdir()
    for script in ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh'):
        shutil.copy(ROOT / 'tools' / script, folder)
    for script in ('train.py', 'test.py'):
        (folder / script).write_text(STAND_IN)
    return folder


def launch(*command, **environment):
    outer = {name: value for name, value in os.environ.items() if name not in ('OMP_NUM_THREADS', 'PORT', 'NNODES')}
    outer |= dict(CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable, PYTHONPATH=str(ROOT)) | environment
    return subprocess.run([str(part) for part in command], env=outer, capture_output=True, text=True, timeout=300)


def test_two_processes_meet_through_gloo_and_get_the_arguments(tools):
    done = launch(tools / 'dist_train.sh', 'some config.py', 2, '--cfg-options', 'a=1 2', OMP_NUM_THREADS='1')
    assert done.returncode == 0, done.stderr
    arguments = ['some config.py', '--launcher', 'pytorch', '--cfg-options', 'a=1 2']
    assert f'SEEN gloo {[(0, 0), (1, 1)]} {arguments} 1\n' in done.stdout


def test_a_checkpoint_is_tested_by_several_processes(tools):
    done = launch(tools / 'dist_test.sh', 'config.py', 'epoch_1.pth', 1, '--out', 'faces.csv')
    assert done.returncode == 0, done.stderr
    arguments = ['config.py', 'epoch_1.pth', '--launcher', 'pytorch', '--out', 'faces.csv']
    assert f'SEEN gloo {[(0, 0)]} {arguments} {os.cpu_count()}\n' in done.stdout


def test_a_process_that_fails_fails_the_launch(tools):
    done = launch(tools / 'dist_train.sh', 'config.py', 2, 'fail')
    assert done.returncode != 0
    assert 'rank 1 gives up' in done.stderr
    assert 'SEEN' not in done.stdout


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
    python = tools.parent / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "own environment: $*"\n')
    python.chmod(0o755)
    done = launch(tools / 'dist_train.sh', 'config.py', 2, PYTHON='', VIRTUAL_ENV='', CONDA_PREFIX='')
    assert done.stdout.startswith('own environment: -m torch.distributed.run --nnodes=1 ')
    assert done.stdout.endswith(f'{tools}/train.py config.py --launcher pytorch\n')


def test_several_machines_meet_at_the_address_given(tools):
    python = tools / 'python'
    python.write_text('#!/bin/sh\necho "$*"\n')
    python.chmod(0o755)
    machines = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='4000')
    done = launch(tools / 'dist_train.sh', 'config.py', 8, PYTHON=str(python), **machines)
    assert '--nnodes=2 --node_rank=1 --master_addr=10.0.0.1 --master_port=4000 --nproc_per_node=8' in done.stdout
    del machines['MASTER_ADDR']
    done = launch(tools / 'dist_train.sh', 'config.py', 8, PYTHON=str(python), **machines)
    assert done.returncode != 0
    assert 'MASTER_ADDR' in done.stderr


def test_slurm_gets_one_task_a_gpu_and_a_port_of_the_jobs_own(tools, tmp_path):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/bash\necho "$*" > "$(dirname "$0")/asked"\nwhile [[ $1 == --* ]]; do shift; done\n"$@"\n')
    srun.chmod(0o755)
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\necho "port $MASTER_PORT threads $OMP_NUM_THREADS: $*"\n')
    python.chmod(0o755)
    environment = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}', PYTHON=str(python), SLURM_JOB_ID='40007', GPUS='4')
    done = launch(tools / 'slurm_train.sh', 'gpu', 'lanet', 'config.py', '--amp', SRUN_ARGS='--qos=high', **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f'port 20007 threads 5: -u {tools}/train.py config.py --launcher slurm --amp\n'
    asked = (tmp_path / 'asked').read_text()
    for option in ('--partition=gpu', '--job-name=lanet', '--ntasks=4', '--gres=gpu:4', '--qos=high'):
        assert f'{option} ' in asked
    launch(tools / 'slurm_train.sh', 'cpu', 'lanet', 'config.py', GPUS_PER_NODE='0', **environment)
    assert '--gres' not in (tmp_path / 'asked').read_text()
