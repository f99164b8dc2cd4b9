"""Labels drawn from votes in whole runs: the same on one process, on two, with workers, and in a resumed run."""

import json
import os
import subprocess
import sys

import pytest
from e2e.clone import NARROW, ROOT, tiny
from e2e.clone import options as as_options
from layouts import LAYOUTS

from mmfer.engine.checks import held_out
from mmfer.engine.hooks import DrawnLabelsHook

CONFIG = 'configs/baseline/r18_ferplus_probability.py'
SMALL = NARROW | {'model.pretrained': None, 'train_cfg.max_epochs': 3, 'train_dataloader.drop_last': False}
WORKERS = {'train_dataloader.num_workers': 2, 'train_dataloader.persistent_workers': True}

NOTE = '''
"""A plugin: notes which label each face is trained with in each epoch."""
import json
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS as ALL_HOOKS
from mmengine.registry import Registry

HOOKS = Registry('hook', parent=ALL_HOOKS, scope='note')


@HOOKS.register_module()
class Note(Hook):
    def before_train(self, runner):
        self.labels = {}

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        batch = data_batch['data_samples']
        assert batch.score.amax(1).eq(1).all()
        for face, label in zip(batch.sample_idx.tolist(), batch.score.argmax(1).tolist(), strict=True):
            self.labels[f'{runner.epoch}/{face}'] = label
        (Path(runner.work_dir) / f'labels{get_rank()}.json').write_text(json.dumps(self.labels))
'''


@pytest.fixture
def values(clone, tmp_path):
    """Options for a miniature whose faces may be either of two emotions."""
    root = tmp_path / 'ferplus'
    LAYOUTS['FERPlus'](root, faces=2)
    path = root / 'fer2013new.csv'
    path.write_text(path.read_text().replace(',9,', ',6,').replace(',1,', ',4,'))
    (tmp_path / 'note').mkdir()
    (tmp_path / 'note' / 'registry.py').write_text(NOTE)
    small = tiny(CONFIG) | SMALL
    return small | {f'{split}_dataloader.dataset.data_root': root for split in ('train', 'val', 'test')}


def labels_in(folder):
    """What was noted, by epoch and face, over all processes."""
    noted = {}
    for path in folder.glob('labels*.json'):
        labels = json.loads(path.read_text())
        assert not noted.keys() & labels.keys()
        noted |= labels
    return noted


def test_labels_do_not_depend_on_processes_workers_or_a_break(values, command, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    noting = {'default_hooks.note.type': 'note.Note', 'default_hooks.checkpoint.max_keep_ckpts': -1}
    command(tmp_path / 'one', config=CONFIG, values=values | noting)
    one = labels_in(tmp_path / 'one')
    assert {name.split('/')[0] for name in one} == {'0', '1', '2'}
    assert len(one) == 3 * 16
    drawn = [[one[f'{epoch}/{face}'] for epoch in range(3)] for face in range(16)]
    assert any(len(set(labels)) == 2 for labels in drawn)

    (tmp_path / 'resumed').mkdir()
    (tmp_path / 'resumed' / 'epoch_1.pth').write_bytes((tmp_path / 'one' / 'epoch_1.pth').read_bytes())
    resume = ('--resume', str(tmp_path / 'resumed' / 'epoch_1.pth'))
    command(tmp_path / 'resumed', *resume, config=CONFIG, values=values | noting | WORKERS)
    resumed = labels_in(tmp_path / 'resumed')
    assert resumed == {name: label for name, label in one.items() if not name.startswith('0/')}

    environment = os.environ | dict(
        CUDA_VISIBLE_DEVICES='',
        PYTHON=sys.executable,
        OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]),
    )
    two = values | noting | {'train_dataloader.batch_size': 4}
    arguments = ['tools/dist_train.sh', CONFIG, '2', '--work-dir', str(tmp_path / 'two'), *as_options(two)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / 'two').glob('labels*.json'))) == 2
    assert labels_in(tmp_path / 'two') == one


def test_nothing_is_drawn_where_no_data_set_asks_for_it_or_a_face_is_evaluated(values, trained):
    runner = trained(CONFIG, values | {'train_cfg.max_epochs': 1})
    assert sum(isinstance(hook, DrawnLabelsHook) for hook in runner.hooks) == 1
    assert runner.val_dataloader.dataset.reading == held_out.set_to_test(runner).reading == 'majority'
    assert 'score' not in runner.val_dataloader.dataset.columns
    runner = trained(CONFIG, values | {'train_cfg.max_epochs': 1, 'train_dataloader.dataset.reading': 'cross_entropy'})
    assert not any(isinstance(hook, DrawnLabelsHook) for hook in runner.hooks)
