"""LA-Net, and all methods together, on two CPU processes, started as a user does.

tests/tools/test_dist_train.py tests the launcher itself.
"""

import json
import math
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from e2e.clone import NARROW, ROOT, TEST_FACES, make_clone, options, tiny

from mmfer.cli.test import main

LANET = Path('configs/lanet/r18_synthfaces.py')
ALL = Path('configs/combined/scn_arm_pal_lanet_sna_r18_synthfaces.py')
CHANGES = {
    LANET: {},
    ALL: {
        'model.neck.in_channels': 64,
        'model.neck.upscale': 4,
        'model.head.in_channels': 25,
        # From the first step on.
        'model.supervision.scn.refiners.relabel.start_epoch': 1,
        'model.supervision.sna.refiners.reliability.warmup': 0,
    },
}
LOSSES = {
    LANET: {'lanet.heatmap_loss', 'lanet.kl_loss', 'lanet.contrast_loss'},
    ALL: {
        'lanet.heatmap_loss',
        'lanet.kl_loss',
        'lanet.contrast_loss',
        'scn.rank_loss',
        'pal.pal_loss',
        'sna.smooth_loss',
    },
}
MEMORIES = {
    LANET: {'label_distribution'},
    ALL: {'label_distribution', 'relabelled', 'importance', 'instability', 'reliability'},
}
TRAIN_FACES = 24

WATCH = '''
"""A plugin: notes what each rank reports at every step, and what it holds at the end."""
import hashlib
import json
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS as ALL_HOOKS
from mmengine.registry import Registry

HOOKS = Registry('hook', parent=ALL_HOOKS, scope='watch')


@HOOKS.register_module()
class Watch(Hook):
    def before_train(self, runner):
        self.steps, self.faces = [], []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.steps.append({name: value.detach().item() for name, value in outputs.items()})
        self.faces.append(data_batch['data_samples'].sample_idx.tolist())

    def after_train(self, runner):
        model = runner.model.module
        memory = model.supervision.bank.state_dict()['columns']
        held = {**model.state_dict(), **{f'bank.{name}': value for name, value in memory.items()}}
        digests = {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in held.items()}
        noted = dict(steps=self.steps, faces=self.faces, digests=digests)
        (Path(runner.work_dir) / f'rank{get_rank()}.json').write_text(json.dumps(noted))
'''


@pytest.fixture(scope='module', params=[LANET, ALL], ids=['lanet', 'all'])
def config(request):
    """What is trained."""
    return request.param


@dataclass
class Ended:
    """An epoch on two processes: the clone, the folder of the run, and what the command said."""

    home: Path
    folder: Path
    said: str
    warned: str


@pytest.fixture(scope='module')
def ended(config, tmp_path_factory) -> Ended:
    home = make_clone(tmp_path_factory.mktemp('clone'))
    (home / 'watch').mkdir()
    (home / 'watch' / 'registry.py').write_text(WATCH)
    values = tiny(str(config), TRAIN_FACES) | NARROW | CHANGES[config]
    values |= {'train_dataloader.batch_size': 4, 'default_hooks.watch.type': 'watch.Watch'}
    environment = os.environ | dict(
        CUDA_VISIBLE_DEVICES='',
        PYTHON=sys.executable,
        OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join([str(ROOT), str(home)]),
    )
    command = ['tools/dist_train.sh', str(config), '2', '--work-dir', 'the run', *options(values)]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return Ended(home, home / 'the run', done.stdout, done.stderr)


@pytest.fixture(scope='module')
def ranks(ended):
    """What the plugin noted on each."""
    return [json.loads((ended.folder / f'rank{rank}.json').read_text()) for rank in range(2)]


def test_an_epoch_is_trained_and_reported_once(config, ended):
    report = json.loads((ended.folder / 'metrics.json').read_text())
    (epoch,) = report['epochs']
    assert (epoch['iter'], report['faces']) == (TRAIN_FACES // 8, TEST_FACES)  # of both ranks' faces none twice
    assert all(math.isfinite(value) for value in epoch['train'].values())
    checkpoint = torch.load(ended.folder / 'epoch_1.pth', weights_only=True)
    assert set(checkpoint['sample_bank']['columns']) == MEMORIES[config]
    assert all(tensor.isfinite().all() for tensor in checkpoint['state_dict'].values())


def test_the_main_process_alone_speaks(config, ended):
    for sentence in ('every figure: ', '2 processes train on CPUs'):
        assert ended.said.count(sentence) == 1
    assert ended.said.count("warning: sync_bn='torch' is left out") == (config == LANET)  # PAL's config has none
    assert 'Warning:' not in ended.warned


def test_the_line_that_is_printed_next_works(ended, monkeypatch):
    monkeypatch.chdir(ended.home)
    (line,) = (line for line in ended.said.splitlines() if line.startswith('next: '))
    assert shlex.split(line)[2:] == ['tools/test.py', 'the run/epoch_1.pth']
    main(['the run/epoch_1.pth'])
    assert (ended.folder / 'test' / 'test_metrics.json').is_file()


def test_nothing_is_left_of_what_the_processes_told_each_other(ended):
    assert not (ended.home / '.dist_test').exists()
    assert not (ended.folder / '.dist_test').exists()


def test_each_face_is_drawn_by_one_rank(ranks):
    faces = [face for rank in ranks for step in rank['faces'] for face in step]
    assert [len(step) for rank in ranks for step in rank['faces']] == [4] * 6
    # The first epoch draws classes as often as they occur, so every face once.
    assert sorted(faces) == list(range(TRAIN_FACES))


def test_both_ranks_report_the_loss_of_the_global_batch(config, ranks):
    first, second = (rank['steps'] for rank in ranks)
    assert len(first) == 3
    assert {name for name in first[0] if name.endswith('_loss')} == {'cls.ce_loss', *LOSSES[config]}
    assert first == second
    assert first[0] != first[1]


def test_both_ranks_hold_the_same_weights_queues_and_memory(config, ranks):
    first, second = (rank['digests'] for rank in ranks)
    assert first == second
    # Also the batch-norm statistics, which SyncBN keeps equal on GPUs and SyncBuffersHook on CPUs.
    arms = {ALL: ('neck.generic', 'neck.norm.running_mean')}.get(config, ())
    for part in (
        '.expression_queue',
        '.queue_label',
        '.twin.backbone.conv1.weight',
        'head.fc.weight',
        'backbone.bn1.running_mean',
        *arms,
        *(f'bank.{name}' for name in MEMORIES[config]),
    ):
        assert any(name.endswith(part) for name in first)
