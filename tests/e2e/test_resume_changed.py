"""A run that is resumed with other settings goes on as a run with these settings would, or says why it cannot."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from e2e.clone import NARROW, ROOT, options, tiny
from mmengine.device import get_device

pytestmark = pytest.mark.skipif(get_device() != 'cpu', reason='the second run is made for CPUs')

CONFIG = 'configs/baseline/r18_rafdb_96px_12e.py'
LR = 1e-3
FACES = 16
VALUES = (
    tiny(CONFIG)
    | NARROW
    | {
        'train_cfg.max_epochs': 4,
        'train_dataloader.batch_size': 6,
        'train_dataloader.drop_last': False,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
    }
)
RUN: dict[str, Path] = {}


@pytest.fixture
def halfway(clone, train_tool, tmp_path_factory, tmp_path) -> Path:
    """A folder with the checkpoint behind the second of four epochs of three steps."""
    if not RUN:
        RUN['folder'] = tmp_path_factory.mktemp('whole')
        train_tool.main([CONFIG, '--work-dir', str(RUN['folder']), *options(VALUES)])
    (tmp_path / 'epoch_2.pth').write_bytes((RUN['folder'] / 'epoch_2.pth').read_bytes())
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    return tmp_path


def resume(train_tool, folder: Path, **changed: object) -> None:
    values = VALUES | {key.replace('__', '.'): value for key, value in changed.items()}
    train_tool.main([CONFIG, '--work-dir', str(folder), '--resume', *options(values)])


def rates(checkpoint: Path) -> list[float]:
    """The learning rate of every step, of the first run and of the resumed one."""
    scalars = torch.load(checkpoint, weights_only=True)['message_hub']['log_scalars']
    return scalars['train/lr'].data[0].tolist()


def linear(steps: int, lr: float = LR) -> list[float]:
    """To 0 at the last step."""
    return [lr * (1 - i / (steps - 1)) for i in range(steps)]


def said(folder: Path) -> str:
    return ''.join(path.read_text() for path in folder.glob('*/*.log'))


LINEAR = {
    'more epochs': (dict(train_cfg__max_epochs=7), 3, 7, LR, 'train_cfg.max_epochs 4 -> 7'),
    'fewer epochs': (dict(train_cfg__max_epochs=3), 3, 3, LR, 'train_cfg.max_epochs 4 -> 3'),
    'smaller batches': (
        dict(train_dataloader__batch_size=4),
        4,
        4,
        LR,
        'train_dataloader.batch_size 6 -> 4, iterations of an epoch 3 -> 4',
    ),
    'larger batches, more epochs': (
        dict(train_dataloader__batch_size=8, train_cfg__max_epochs=5),
        2,
        5,
        LR,
        'train_cfg.max_epochs 4 -> 5, train_dataloader.batch_size 6 -> 8, iterations of an epoch 3 -> 2',
    ),
    'no small batch': (dict(train_dataloader__drop_last=True), 2, 4, LR, 'train_dataloader.drop_last False -> True'),
    'another rate': (
        dict(optim_wrapper__optimizer__lr=2e-3),
        3,
        4,
        2e-3,
        'optim_wrapper.optimizer.lr 0.001 -> 0.002',
    ),
    'accumulation': (
        dict(optim_wrapper__accumulative_counts=3),
        3,
        4,
        LR,
        'optim_wrapper.accumulative_counts None -> 3',
    ),
}


@pytest.mark.parametrize('what', LINEAR)
def test_the_rate_of_every_later_step_is_that_of_a_run_with_the_new_settings(what, halfway, train_tool):
    changed, length, epochs, lr, names = LINEAR[what]
    resume(train_tool, halfway, **changed)
    last = halfway / f'epoch_{epochs}.pth'
    first, later = rates(last)[:6], rates(last)[6:]
    assert first == pytest.approx(linear(12)[:6])
    assert later == pytest.approx(linear(epochs * length, lr)[2 * length :], abs=1e-12)
    assert later[-1] == pytest.approx(0, abs=1e-12)
    meta = torch.load(last, weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (epochs, epochs * length)
    log = said(halfway)
    assert f'resumed with other settings than those of the checkpoint: {names}' in log
    assert 'eta: -' not in log
    records = torch.load(last, weights_only=True)['mmfer_protocol']['records']
    assert [record['epoch'] for record in records] == list(range(1, epochs + 1))
    assert all(record['metrics'] for record in records[:-1])


def test_another_scheduler_and_other_settings_of_the_optimizer_are_the_configs(halfway, train_tool, tmp_path):
    """Every group keeps what Adam remembers, and takes what the config says."""
    child = tmp_path / 'step.py'
    child.write_text(
        f"_base_ = '{ROOT / CONFIG}'\n"
        "param_scheduler = [dict(type='ExponentialLR', gamma=0.5, by_epoch=True)]\n"
        'optim_wrapper = dict(optimizer=dict(weight_decay=0.25, betas=(0.8, 0.99)))\n'
    )
    train_tool.main([str(child), '--work-dir', str(halfway), '--resume', *options(VALUES)])
    assert rates(halfway / 'epoch_4.pth')[6:] == pytest.approx([LR / 4] * 3 + [LR / 8] * 3)
    end = torch.load(halfway / 'epoch_4.pth', weights_only=True)['optimizer']
    assert end['param_groups'][0]['weight_decay'] == 0.25
    assert end['param_groups'][0]['betas'] == (0.8, 0.99)
    assert end['state'][0]['step'] == 12


def test_two_processes_go_on_where_one_stopped(halfway, train_tool):
    """The same batch in each of two processes: an epoch of half as many steps."""
    command = ['bash', str(ROOT / 'tools/dist_train.sh'), CONFIG, '2', '--work-dir', str(halfway), '--resume']
    environment = os.environ | dict(PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='')
    values = VALUES | {'train_cfg.max_epochs': 3}
    done = subprocess.run([*command, *options(values)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    # 8 faces a process, in batches of 6 and 2
    assert rates(halfway / 'epoch_3.pth')[6:] == pytest.approx(linear(6)[4:], abs=1e-12)
    assert 'processes 1 -> 2, iterations of an epoch 3 -> 2' in said(halfway)


REFUSED = {
    'too few epochs': (
        dict(train_cfg__max_epochs=1),
        'the checkpoint has 2 epochs behind it, more than train_cfg.max_epochs=1: nothing would be trained; give a '
        'larger train_cfg.max_epochs, or name an earlier checkpoint with --resume CHECKPOINT',
    ),
    'another optimizer': (
        dict(optim_wrapper__optimizer__type='RAdam'),
        'the checkpoint has the memory of Adam, which RAdam cannot go on with: resume with '
        'optim_wrapper.optimizer.type=Adam, or begin anew from its weights: --cfg-options load_from=CHECKPOINT, '
        'without --resume',
    ),
    'another network': (
        dict(model__backbone__base_channels=16, model__head__in_channels=128),
        'the checkpoint is of another network than the config (backbone.layer1.0.downsample.0.weight is missing; ',
    ),
    'other faces': (
        dict(train_dataloader__dataset__indices=12),
        'the checkpoint remembers another training set (other images or labels) than the config names; resume with the '
        'data of its run, or start anew with load_from',
    ),
    'validated on other faces': (
        dict(val_dataloader__dataset__indices=7),
        'the checkpoint was validated on another data set (other images or labels) than the config names; resume with '
        'the data of its run, or start anew with load_from',
    ),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_cannot_go_on_is_refused(what, halfway, train_tool, capsys):
    changed, sentence = REFUSED[what]
    with pytest.raises(SystemExit) as stopped:
        resume(train_tool, halfway, **changed)
    assert stopped.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f'mmfer: error: {sentence}')


def test_a_checkpoint_without_its_optimizer_is_refused_and_the_cure_trains(halfway, train_tool, capsys):
    checkpoint = torch.load(halfway / 'epoch_2.pth', weights_only=True)
    del checkpoint['optimizer']
    torch.save(checkpoint, halfway / 'epoch_2.pth')
    with pytest.raises(SystemExit):
        resume(train_tool, halfway)
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert 'the checkpoint has no state of the optimizer' in sentence
    assert sentence.endswith('begin anew from its weights: --cfg-options load_from=CHECKPOINT, without --resume')
    values = VALUES | {'train_cfg.max_epochs': 1, 'load_from': halfway / 'epoch_2.pth'}
    train_tool.main([CONFIG, '--work-dir', str(halfway / 'anew'), *options(values)])
    assert (halfway / 'anew' / 'epoch_1.pth').is_file()


def test_the_seed_of_the_checkpoint_is_the_samplers_too(halfway, clone, train_tool, monkeypatch):
    """A run that is resumed with another seed ends where the whole one ends."""
    train_tool.main([CONFIG, '--work-dir', str(halfway), '--resume', '--seed', '9', *options(VALUES)])
    ours, theirs = (torch.load(folder / 'epoch_4.pth', weights_only=True) for folder in (halfway, RUN['folder']))
    weights = [state['state_dict']['backbone.conv1.weight'] for state in (ours, theirs)]
    assert torch.equal(*weights)
    assert 'the run goes on with the seed of the checkpoint, 0, not with 9' in said(halfway)


def test_a_checkpoint_that_says_nothing_of_its_settings_goes_on_with_the_configs(halfway, train_tool):
    checkpoint = torch.load(halfway / 'epoch_2.pth', weights_only=True)
    del checkpoint['mmfer_schedule']
    torch.save(checkpoint, halfway / 'epoch_2.pth')
    resume(train_tool, halfway)
    ours, theirs = (torch.load(folder / 'epoch_4.pth', weights_only=True) for folder in (halfway, RUN['folder']))
    assert torch.equal(*(state['state_dict']['backbone.conv1.weight'] for state in (ours, theirs)))
    assert rates(halfway / 'epoch_4.pth') == rates(RUN['folder'] / 'epoch_4.pth')


@pytest.mark.parametrize(('batch', 'behind', 'of'), [(4, 3, 4), (10, 1, 2), (16, 0, 1)])
def test_another_batch_within_an_epoch_goes_on_behind_the_faces_it_has_had(batch, behind, of, halfway, train_tool):
    """Two iterations of six faces are three of four, one of ten (two faces come again) and none of all."""
    checkpoint = torch.load(halfway / 'epoch_2.pth', weights_only=True)
    checkpoint['meta'] |= dict(epoch=1, iter=5)
    torch.save(checkpoint, halfway / 'epoch_2.pth')
    resume(train_tool, halfway, train_dataloader__batch_size=batch)
    assert rates(halfway / 'epoch_4.pth')[6:] == pytest.approx(linear(4 * of)[of + behind :], abs=1e-12)
    place = 'epoch 1' + (f' and {behind} iterations' if behind else '')
    assert f'The run goes on behind {place} as a run with the present settings would' in said(halfway)


def test_a_checkpoint_amid_accumulated_gradients_says_what_it_lacks(halfway, train_tool):
    resume(train_tool, halfway, optim_wrapper__accumulative_counts=4)
    assert 'accumulative_counts=4 does not divide the 6 iterations behind the checkpoint' in said(halfway)


def test_the_best_by_another_metric_does_not_stand_in_the_way(halfway, train_tool):
    """100 percent of what was measured before would never be surpassed."""
    checkpoint = torch.load(halfway / 'epoch_2.pth', weights_only=True)
    checkpoint['mmfer_schedule']['chooses'] = 'macro_f1'
    checkpoint['message_hub']['runtime_info'] |= dict(best_score=1000.0, best_ckpt='gone.pth')
    torch.save(checkpoint, halfway / 'epoch_2.pth')
    resume(train_tool, halfway, select_on='test')
    assert 'another metric chooses the best epoch than before: the best is chosen from here on' in said(halfway)
    (best,) = halfway.glob('best_accuracy_epoch_*.pth')
    report = json.loads((halfway / 'metrics.json').read_text())
    accuracy = {epoch['epoch']: epoch['accuracy'] for epoch in report['epochs']}
    later = {epoch: value for epoch, value in accuracy.items() if epoch >= 2}  # the second is validated once more
    assert accuracy[int(best.stem.rpartition('_')[2])] == max(later.values())
