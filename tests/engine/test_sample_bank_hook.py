"""SampleBankHook: the bank fits the training set, is committed after every iteration, and is resumed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from miniature import make_rafdb
from mmengine.dataset import BaseDataset
from torch import nn
from torch.testing import assert_close

from mmfer.datasets import RAFDB
from mmfer.engine.hooks import SampleBankHook
from mmfer.registry import HOOKS

sys.path.insert(0, str(Path(__file__).parents[1] / 'models'))

from tiny import CE, ToyClassifier, classifier, faces, lanet, total


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('rafdb')
    return {
        landmarks: make_rafdb(root / str(landmarks), per_class=2, size=32, landmarks=landmarks, test_per_class=1)
        for landmarks in (True, False)
    }


def rafdb(folders, landmarks=True, **options):
    return RAFDB(data_root=folders[landmarks], landmarks='landmarks68.npz' if landmarks else None, **options)


def runner_of(model, dataset, **options):
    values = dict(model=model, _train_loop=object(), train_dataloader=SimpleNamespace(dataset=dataset), _resume=False)
    return SimpleNamespace(**values | options)


@pytest.fixture
def model():
    return classifier(dict(cls=CE, lanet=lanet()), classes=7)


def bank_of(model):
    return model.supervision.bank.state_dict()['columns']['label_distribution']


# --- before the run ---


def test_the_bank_gets_a_row_for_every_training_sample(folders, model):
    dataset = rafdb(folders)
    SampleBankHook().before_run(runner_of(model, dataset))
    assert_close(bank_of(model), nn.functional.one_hot(torch.as_tensor(dataset.get_gt_labels()), 7).float())
    assert model.supervision.bank.fingerprint == dataset.fingerprint()
    assert len(bank_of(model)) == 14


def test_it_starts_from_the_observed_labels(folders, model):
    dataset = rafdb(folders, label_noise=dict(kind='symmetric', rate=0.5, seed=0))
    SampleBankHook().before_run(runner_of(model, dataset))
    observed = torch.as_tensor(dataset.get_gt_labels())
    assert bank_of(model).argmax(1).tolist() == observed.tolist()
    assert observed.tolist() != torch.as_tensor(rafdb(folders).get_gt_labels()).tolist()
    assert model.supervision.bank.fingerprint != rafdb(folders).fingerprint()


@pytest.mark.parametrize('where', [True, 'elsewhere'])
def test_a_bank_on_disk_lies_in_the_runs_folder_or_the_one_that_is_named(folders, model, tmp_path, monkeypatch, where):
    made = []
    monkeypatch.setattr('mmfer.structures.sample_bank.mapped_zeros', lambda folder, *_, **__: made.append(folder))
    monkeypatch.setattr('mmfer.structures.sample_bank.Column.initial', lambda *args: args[-1]())
    (tmp_path / 'elsewhere').mkdir()
    on_disk = where if where is True else str(tmp_path / where)
    SampleBankHook(on_disk).before_run(runner_of(model, rafdb(folders), work_dir=str(tmp_path)))
    assert set(made) == {tmp_path if where is True else tmp_path / where}


@pytest.mark.parametrize('wrong', [3, None, 'tru', '/no/such/folder'])
def test_a_place_that_is_none_is_refused(wrong):
    with pytest.raises(
        ValueError, match=f'SampleBankHook.on_disk must be True .*, False, or a folder .* got {wrong!r}'
    ):
        SampleBankHook(wrong)


@pytest.mark.parametrize('wrap', [nn.Module, nn.DataParallel])
def test_it_looks_into_a_wrapped_model(folders, model, wrap):
    wrapped = model if wrap is nn.Module else nn.DataParallel(model)
    SampleBankHook().before_run(runner_of(wrapped, rafdb(folders)))
    assert len(bank_of(model)) == 14


def test_a_part_that_needs_landmarks_is_refused_on_data_without(folders, model):
    with pytest.raises(
        ValueError,
        match='supervision.lanet.losses.heatmap needs landmarks, but the training set RAFDB '
        'gives none: name a landmark file, such as .*landmarks68.npz',
    ):
        SampleBankHook().before_run(runner_of(model, rafdb(folders, landmarks=False)))


def test_parts_that_need_none_are_fine_there(folders):
    model = classifier(dict(cls=CE), classes=7)
    SampleBankHook().before_run(runner_of(model, rafdb(folders, landmarks=False)))
    assert model.supervision.bank.columns == ()


def test_a_dataset_that_cannot_tell_its_samples_apart_is_refused(model):
    dataset = BaseDataset(lazy_init=True)
    with pytest.raises(ValueError, match='BaseDataset has no get_gt_labels; use an mmfer.FaceDataset'):
        SampleBankHook().before_run(runner_of(model, dataset))


@pytest.mark.parametrize('build', [ToyClassifier, classifier], ids=['no mmfer model', 'no supervision'])
def test_other_models_are_left_alone(folders, build):
    hook, runner, checkpoint = SampleBankHook(), runner_of(build(), rafdb(folders)), {}
    hook.before_run(runner)
    hook.after_train_iter(runner, 0)
    hook.before_save_checkpoint(runner, checkpoint)
    hook.after_load_checkpoint(runner, {'sample_bank': {}})
    assert checkpoint == {}


@pytest.mark.parametrize('loop', [None, {'by_epoch': True}])
def test_a_test_run_needs_no_training_set(model, loop):
    runner = SimpleNamespace(model=model, _train_loop=loop)
    SampleBankHook().before_run(runner)
    assert model.supervision.bank.columns == ('label_distribution',)
    with pytest.raises(RuntimeError, match='no rows'):
        model.supervision.bank.read('label_distribution', torch.tensor([0]))


# --- iterations ---


def test_after_an_iteration_the_bank_and_the_queues_are_written(folders, model):
    hook, runner = SampleBankHook(), runner_of(model, rafdb(folders))
    hook.before_run(runner)
    before = bank_of(model).clone()
    inputs, batch = faces(3, classes=7, sample_idx=[4, 9, 1])
    total(model.train().loss(inputs, batch)).backward()
    assert_close(bank_of(model), before, rtol=0, atol=0)
    hook.after_train_iter(runner, 0)
    moved = (bank_of(model) - before).abs().amax(1) > 1e-4
    assert moved.nonzero().flatten().tolist() == [1, 4, 9]
    assert int((model.supervision.methods['lanet']['branches']['keys'].queue_label >= 0).sum()) == 3


# --- checkpoints ---


def saved(folders, model):
    """A checkpoint after something was learnt."""
    runner, checkpoint = runner_of(model, rafdb(folders)), {}
    SampleBankHook().before_run(runner)
    model.supervision.bank.stage('label_distribution', torch.tensor([2]), torch.full((1, 7), 1 / 7))
    SampleBankHook().after_train_iter(runner, 0)
    SampleBankHook().before_save_checkpoint(runner, checkpoint)
    return checkpoint


def test_resuming_restores_the_bank_and_load_from_ignores_it(folders, model):
    checkpoint = saved(folders, model)
    assert list(checkpoint) == ['sample_bank']
    for resume, expected in ((True, 1 / 7), (False, None)):
        other = classifier(dict(cls=CE, lanet=lanet()), classes=7)
        runner = runner_of(other, rafdb(folders), _resume=resume)
        SampleBankHook().before_run(runner)
        fresh = bank_of(other)[2].tolist()
        SampleBankHook().after_load_checkpoint(runner, checkpoint)
        assert bank_of(other)[2].tolist() == pytest.approx([expected] * 7 if expected else fresh)


def test_resuming_with_other_labels_is_refused(folders, model):
    checkpoint = saved(folders, model)
    runner = runner_of(model, rafdb(folders, label_noise=dict(kind='symmetric', rate=0.5, seed=0)), _resume=True)
    SampleBankHook().before_run(runner)
    with pytest.raises(ValueError, match='remembers another training set'):
        SampleBankHook().after_load_checkpoint(runner, checkpoint)


def test_resuming_from_a_checkpoint_without_a_bank_is_refused(folders, model):
    """Its label distributions would silently start anew."""
    runner = runner_of(model, rafdb(folders), _resume=True)
    SampleBankHook().before_run(runner)
    with pytest.raises(ValueError, match='load_from'):
        SampleBankHook().after_load_checkpoint(runner, {'state_dict': {}})


def test_parts_without_memory_leave_nothing_in_the_checkpoint(folders):
    model = classifier(dict(cls=CE), classes=7)
    runner, checkpoint = runner_of(model, rafdb(folders), _resume=True), {}
    hook = HOOKS.build(dict(type='mmfer.SampleBankHook'))
    hook.before_run(runner)
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint == {}
    hook.after_load_checkpoint(runner, checkpoint)
