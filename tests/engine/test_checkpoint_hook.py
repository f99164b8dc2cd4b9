"""Checkpoints are written whole, in an order that leaves one at every moment."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.runner.checkpoint import load_checkpoint
from torch import nn

from mmfer.engine.hooks import CheckpointHook
from mmfer.engine.whole_checkpoints import WHOLE, load_from_local, save_straight
from mmfer.structures.newest_checkpoint import EARLIER, newest_checkpoint, remove_unfinished, set_aside
from mmfer.structures.tensor_file import read_tensor_file

SAVED = dict(backend_args=dict(backend=WHOLE))


def checkpoint(folder, name, epoch, iteration, value=0.0):
    content = dict(
        meta=dict(epoch=epoch, iter=iteration), message_hub={}, state_dict=dict(weight=torch.full((3,), value))
    )
    save_straight(content, str(folder / name), **SAVED)
    return folder / name


class Runner:
    """What the hook asks of a runner."""

    def __init__(self, folder):
        self.work_dir, self.epoch, self.iter, self.events = str(folder), 0, 0, []
        self.message_hub = self
        self.runtime_info = {}
        self._resume, self._load_from = False, None
        self.logger = self
        self.model = nn.BatchNorm1d(2)

    def info(self, *_):
        """What it says does not matter here."""

    def update_info(self, name, value):
        self.runtime_info[name] = value

    def get_info(self, name):
        return self.runtime_info[name]

    def save_checkpoint(self, folder, filename, meta, backend_args, **_):
        self.events.append(sorted(os.listdir(folder)))
        save_straight(dict(meta=meta, state_dict={}), f'{folder}/{filename}', backend_args=backend_args)
        self.events.append(sorted(os.listdir(folder)))


def run(folder, **settings) -> tuple[CheckpointHook, Runner]:
    runner, hook = Runner(folder), CheckpointHook(interval=1, **settings)
    hook.before_train(runner)
    return hook, runner


def epoch(hook, runner, iterations=10):
    runner.iter = (runner.epoch + 1) * iterations
    hook._save_checkpoint(runner)
    runner.epoch += 1


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


def test_the_old_one_goes_when_the_new_one_and_the_pointer_are_there(tmp_path):
    hook, runner = run(tmp_path, max_keep_ckpts=1)
    epoch(hook, runner)
    epoch(hook, runner)
    assert runner.events[2:] == [['epoch_1.pth', 'last_checkpoint'], ['epoch_1.pth', 'epoch_2.pth', 'last_checkpoint']]
    assert names(tmp_path) == ['epoch_2.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_2.pth')


def test_the_newest_two_are_kept_or_as_many_as_are_asked_for(tmp_path):
    for settings, kept in (
        (dict(), [4, 5]),
        (dict(max_keep_ckpts=3), [3, 4, 5]),
        (dict(max_keep_ckpts=-1), range(1, 6)),
    ):
        folder = tmp_path / f'{len(kept)} kept'
        folder.mkdir()
        hook, runner = run(folder, **settings)
        for _ in range(5):
            epoch(hook, runner)
        assert names(folder) == [f'epoch_{number}.pth' for number in kept]


def test_within_epochs_as_many_are_kept_as_make_two_of_any_kind(tmp_path):
    hook, runner = run(tmp_path)
    for runner.iter in (2, 4, 6):
        hook.save_within_epoch(runner)
    assert names(tmp_path) == ['iter_5.pth', 'iter_7.pth']
    epoch(hook, runner)
    assert names(tmp_path) == ['epoch_1.pth', 'iter_7.pth']
    runner.iter = 14
    hook.save_within_epoch(runner)
    assert names(tmp_path) == ['epoch_1.pth', 'iter_15.pth']
    epoch(hook, runner)
    assert names(tmp_path) == ['epoch_1.pth', 'epoch_2.pth']
    assert read_tensor_file(tmp_path / 'epoch_2.pth')['meta'] == dict(epoch=2, iter=20)


def test_the_best_is_replaced_when_the_new_one_is_there(tmp_path):
    hook, runner = run(tmp_path, save_best='accuracy', rule='greater', max_keep_ckpts=1)
    for score, best in ((50.0, 1), (40.0, 1), (60.0, 3)):
        epoch(hook, runner)
        hook.after_val_epoch(runner, dict(accuracy=score))
        assert names(tmp_path) == [f'best_accuracy_epoch_{best}.pth', f'epoch_{runner.epoch}.pth']
        assert hook.best_ckpt_path == str(tmp_path / f'best_accuracy_epoch_{best}.pth')
    assert ['best_accuracy_epoch_1.pth', 'best_accuracy_epoch_3.pth'] in [
        [name for name in event if name.startswith('best')] for event in runner.events
    ]


def test_a_folder_that_was_moved_keeps_its_own_best_and_leaves_the_other_alone(tmp_path):
    old, new = tmp_path / 'old', tmp_path / 'new'
    for folder in (old, new):
        folder.mkdir()
        checkpoint(folder, 'best_accuracy_epoch_1.pth', 1, 10)
    runner, hook = Runner(new), CheckpointHook(interval=1, save_best='accuracy', rule='greater')
    runner.runtime_info |= dict(best_ckpt=str(old / 'best_accuracy_epoch_1.pth'), best_score=10.0)
    runner.epoch = 1
    hook.before_train(runner)
    assert hook.best_ckpt_path == str(new / 'best_accuracy_epoch_1.pth')
    epoch(hook, runner)
    hook.after_val_epoch(runner, dict(accuracy=20.0))
    assert names(new) == ['best_accuracy_epoch_2.pth', 'epoch_2.pth']
    assert names(old) == ['best_accuracy_epoch_1.pth']


@pytest.mark.parametrize('moment', ['write', 'fsync', 'replace'])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, moment):
    path = checkpoint(tmp_path, 'epoch_1.pth', 1, 10, 1.0)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(28, 'No space left on device')

    where = dict(
        write=('save_sealed', 'mmfer.engine.whole_checkpoints'), fsync=('os.fsync', None), replace=('os.replace', None)
    )
    name, module = where[moment]
    monkeypatch.setattr(f'{module}.{name}' if module else f'mmfer.structures.whole_files.{name}', full)
    with pytest.raises(OSError, match='No space left') as error:
        checkpoint(tmp_path, 'epoch_1.pth', 1, 10, 2.0)
    assert error.value.filename == str(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ['epoch_1.pth']


def test_what_is_remembered_per_sample_is_read_when_it_is_needed(tmp_path):
    columns = dict(x=torch.arange(4.0), y=torch.arange(4))
    bank = dict(
        columns=columns, fingerprint='these', seen=torch.ones(4, dtype=torch.bool), of_epoch=dict(z=(1, torch.ones(2)))
    )
    state = nn.BatchNorm1d(3).state_dict()
    saved = dict(state_dict=state, optimizer=dict(groups=[dict(lr=0.1)], moments=(torch.ones(2), 1)), sample_bank=bank)
    save_straight(saved, str(tmp_path / 'epoch_1.pth'), **SAVED)
    content = load_from_local(str(tmp_path / 'epoch_1.pth'), 'cpu')

    def mapped():
        return str(tmp_path / 'epoch_1.pth') in Path('/proc/self/maps').read_text()

    assert not mapped()  # a map of all columns would count to the process
    kept = content['sample_bank']['columns']
    assert all(torch.equal(kept[name], rows) for name, rows in columns.items())
    assert len(kept) == 2
    with pytest.raises(KeyError):
        kept['z']
    assert not mapped()
    x = kept['x']
    assert mapped()
    (tmp_path / 'epoch_1.pth').write_bytes(bytes((tmp_path / 'epoch_1.pth').stat().st_size))  # what is in memory stays
    assert content['state_dict']._metadata == state._metadata
    assert all(torch.equal(content['state_dict'][name], value) for name, value in state.items())
    assert content['optimizer']['moments'][0].tolist() == [1, 1]
    assert content['optimizer']['groups'] == [dict(lr=0.1)]
    assert content['sample_bank']['fingerprint'] == 'these'
    assert content['sample_bank']['seen'].tolist() == [True] * 4
    assert content['sample_bank']['of_epoch']['z'][1].tolist() == [1, 1]
    assert x.tolist() == [0, 0, 0, 0]  # it was not


def test_what_is_gone_already_need_not_be_removed(tmp_path):
    get_file_backend(backend_args=dict(backend=WHOLE)).remove(tmp_path / 'none.pth')
    with pytest.raises(ValueError, match=r'CheckpointHook.minutes must be at least 0, got -1'):
        CheckpointHook(minutes=-1)


def test_the_newest_that_reads_whole_is_found_whatever_the_pointer_says(tmp_path):
    for number in (1, 2, 10):
        checkpoint(tmp_path, f'epoch_{number}.pth', number, 10 * number)
    checkpoint(tmp_path, 'iter_104.pth', 10, 104)
    checkpoint(tmp_path, 'best_accuracy_epoch_10.pth', 99, 999)
    for pointer in (None, '', '/another/folder/epoch_2.pth', '\0'):
        if pointer is not None:
            (tmp_path / 'last_checkpoint').write_text(pointer)
        found = newest_checkpoint(tmp_path)
        assert (found.newest, found.place, found.damaged) == (tmp_path / 'iter_104.pth', 'epoch 10, iteration 104', ())
    (tmp_path / 'iter_104.pth').write_bytes((tmp_path / 'iter_104.pth').read_bytes()[:-100])
    data = bytearray((tmp_path / 'epoch_10.pth').read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / 'epoch_10.pth').write_bytes(data)
    (tmp_path / 'epoch_11.pth').write_text('<html>')
    (tmp_path / 'epoch_12.pth').mkdir()
    torch.save(dict(weight=torch.ones(2)), tmp_path / 'weights.pth')
    found = newest_checkpoint(tmp_path)
    assert (found.newest, found.place) == (tmp_path / 'epoch_2.pth', 'epoch 2')
    assert sorted(sentence.split()[0] for sentence in found.damaged) == [
        str(tmp_path / name) for name in ('epoch_10.pth', 'epoch_11.pth', 'iter_104.pth')
    ]


def test_a_damaged_one_names_the_newest_whole_one_when_it_is_loaded(tmp_path):
    good = checkpoint(tmp_path, 'epoch_1.pth', 1, 10)
    bad = checkpoint(tmp_path, 'epoch_2.pth', 2, 20)
    bad.write_bytes(bad.read_bytes()[:-1])
    with pytest.raises(ValueError, match=rf'{bad} cannot be read .*: it is damaged.*; take {good}, which reads whole'):
        load_checkpoint(nn.Linear(1, 1), str(bad))


def test_what_is_not_on_a_runs_way_is_set_aside_and_kept_once(tmp_path):
    for number in (1, 2, 3):
        checkpoint(tmp_path, f'epoch_{number}.pth', number, 10 * number, number)
    checkpoint(tmp_path, 'best_accuracy_epoch_2.pth', 2, 20)
    assert set_aside(tmp_path, tmp_path / 'epoch_2.pth') == [tmp_path / EARLIER / 'epoch_3.pth']
    assert names(tmp_path) == ['best_accuracy_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth']
    assert len(set_aside(tmp_path)) == 3
    assert names(tmp_path) == []
    assert names(tmp_path / EARLIER) == ['best_accuracy_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth']
    torch.save(dict(meta=dict(epoch=9, iter=90), state_dict={}), tmp_path / 'exported.pth')
    assert set_aside(tmp_path) == []
    assert newest_checkpoint(tmp_path).newest is None
    assert len(names(tmp_path / EARLIER)) == 3
    (tmp_path / 'epoch_4.pth.part').write_text('half')
    remove_unfinished(tmp_path)
    assert not (tmp_path / 'epoch_4.pth.part').exists()
