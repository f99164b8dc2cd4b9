"""ProtocolHook in a real runner: what metrics.json says, exact resume, and that nothing chooses on the sly."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch import nn
from torch.utils.data import Dataset

from mmfer.engine.hooks.protocol import ProtocolHook

CLASSES = ['happiness', 'anger', 'fear']
LABELS = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2]


class Points(Dataset):
    """Ten points in the plane, three classes."""

    def __init__(self, split='test'):
        self.metainfo, self.split = dict(classes=CLASSES), split
        self.points = torch.randn(10, 4, generator=torch.Generator().manual_seed(1)) + torch.eye(4)[LABELS]

    def __len__(self):
        return 10

    def __getitem__(self, index):
        sample = DataSample(metainfo=dict(sample_idx=index)).set_gt_label(LABELS[index])
        return dict(inputs=self.points[index], data_samples=sample)


class Net(BaseModel):
    """Returns a loss, a second term and a number that is none."""

    def __init__(self):
        super().__init__()
        self.linear, self.seen = nn.Linear(4, 3), 0

    def forward(self, inputs, data_samples, mode='tensor'):
        logits = self.linear(torch.stack(inputs))
        if mode == 'predict':
            return [s.set_pred_score(p) for s, p in zip(data_samples, logits.softmax(1), strict=True)]
        label = torch.cat([sample.gt_label for sample in data_samples])
        return {
            'cls.loss': nn.functional.cross_entropy(logits, label),
            'decay.loss': 0.01 * logits.square().mean(),
            'sure': logits.softmax(1).max(1).values.mean().detach(),
        }


def make_runner(
    work_dir,
    epochs=4,
    *,
    resume=False,
    load_from=None,
    hook=None,
    split='test',
    select_on=None,
    checkpoint=None,
    custom=(),
    val_interval=1,
    cfg=None,
):
    torch.manual_seed(0)
    loader = dict(batch_size=5, num_workers=0, persistent_workers=False)
    return Runner(
        model=Net(),
        work_dir=str(work_dir),
        train_dataloader=dict(dataset=Points('train'), sampler=dict(type='DefaultSampler', shuffle=True), **loader),
        val_dataloader=dict(dataset=Points(split), sampler=dict(type='DefaultSampler', shuffle=False), **loader),
        val_evaluator=dict(type='mmfer.FERMetric'),
        val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=val_interval),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.05)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, **(checkpoint or {}))),
        custom_hooks=[hook or ProtocolHook(), *custom],
        randomness=dict(seed=3),
        resume=resume,
        load_from=load_from,
        default_scope='mmpretrain',
        log_level='WARNING',
        cfg=Config(dict(select_on=select_on, **(cfg or {})), cfg_text='# toy', filename='toy.py'),
    )


def report_of(work_dir):
    return json.loads((work_dir / 'metrics.json').read_text())


RUN = {}


@pytest.fixture
def undrawn() -> None:
    """Here the pictures are drawn."""


@pytest.fixture
def finished(tmp_path_factory):
    """The folder and the report of a run of seven epochs, made by the first test that asks."""
    if not RUN:  # not scope='module': conftest clears mmengine's singletons only around functions
        RUN['folder'] = tmp_path_factory.mktemp('run')
        make_runner(RUN['folder'], epochs=7).train()
    return RUN['folder'], report_of(RUN['folder'])


def test_every_epoch_is_reported_with_all_figures(finished):
    folder, report = finished
    assert [epoch['epoch'] for epoch in report['epochs']] == [1, 2, 3, 4, 5, 6, 7]
    assert [epoch['iter'] for epoch in report['epochs']] == [2, 4, 6, 8, 10, 12, 14]
    names = {'accuracy', 'mean_class_accuracy', 'macro_f1', 'recall/happiness', 'recall/anger', 'recall/fear'}
    for epoch in report['epochs']:
        assert names <= set(epoch)
        state = torch.load(folder / f'epoch_{epoch["epoch"]}.pth', weights_only=True)['state_dict']
        logits = Points().points @ state['linear.weight'].T + state['linear.bias']
        right = logits.argmax(1) == torch.tensor(LABELS)
        assert epoch['accuracy'] == pytest.approx(100 * right.float().mean().item())
        recalls = [right[:6].float().mean(), right[6:9].float().mean(), right[9:].float().mean()]
        assert epoch['mean_class_accuracy'] == pytest.approx(100 * torch.stack(recalls).mean().item())


def test_last_last5_and_best_are_what_they_say(finished):
    _, report = finished
    accuracy = [epoch['accuracy'] for epoch in report['epochs']]
    assert report['last'] | {'epoch': 7} == report['last']
    assert report['last']['accuracy'] == accuracy[-1]
    assert report['last5']['epochs'] == [3, 4, 5, 6, 7]
    assert report['last5']['accuracy'] == pytest.approx(sum(accuracy[-5:]) / 5)
    assert report['best']['accuracy'] == max(accuracy)
    assert report['best']['epoch'] == 1 + accuracy.index(max(accuracy))
    assert (report['best']['split'], report['best']['selected'], report['best']['by']) == ('test', False, 'accuracy')


def test_what_the_run_was_is_reported(finished):
    _, report = finished
    assert (report['seed'], report['split'], report['faces'], report['select_on']) == (3, 'test', 10, None)
    assert report['config'] == 'toy'
    assert (report['majority_class'], report['majority_rate']) == ('happiness', 60)
    assert [sum(row) for row in report['confusion_matrix']] == [6, 3, 1]


def test_loss_terms_and_other_scalars_are_epoch_means(finished):
    _, report = finished
    for epoch in report['epochs']:
        train = epoch['train']
        assert train['loss'] == pytest.approx(train['cls.loss'] + train['decay.loss'], rel=1e-5)
        assert 1 / 3 <= train['sure'] <= 1
    assert report['epochs'][-1]['train']['cls.loss'] < report['epochs'][0]['train']['cls.loss']


def test_the_means_are_means_over_the_steps(tmp_path):
    hook, seen = ProtocolHook(), []
    runner = make_runner(tmp_path, epochs=1, hook=hook)
    keep = hook.after_train_iter

    def after_train_iter(runner, batch_idx, data_batch=None, outputs=None):
        seen.append(outputs['cls.loss'].item())
        keep(runner, batch_idx, data_batch, outputs)

    hook.after_train_iter = after_train_iter
    runner.train()
    assert len(seen) == 2
    assert report_of(tmp_path)['epochs'][0]['train']['cls.loss'] == pytest.approx(sum(seen) / 2)


def test_the_pictures_are_drawn(finished):
    folder, _ = finished
    for name in ('confusion_matrix.png', 'learning_curves.png'):
        assert (folder / name).read_bytes().startswith(b'\x89PNG')


def test_two_epochs_resumed_for_two_more_report_what_four_do(tmp_path):
    make_runner(tmp_path / 'whole', epochs=4).train()
    make_runner(tmp_path / 'parts', epochs=2).train()
    make_runner(tmp_path / 'parts', epochs=4, resume=True).train()
    assert report_of(tmp_path / 'parts') == report_of(tmp_path / 'whole')
    whole, parts = (torch.load(tmp_path / name / 'epoch_4.pth', weights_only=True) for name in ('whole', 'parts'))
    assert parts[ProtocolHook.KEY] == whole[ProtocolHook.KEY]


def test_a_run_killed_between_checkpoint_and_validation_reports_every_epoch(tmp_path):
    class Killed(Exception):
        pass

    class Kill(ProtocolHook):
        def before_train_epoch(self, runner):
            super().before_train_epoch(runner)
            if runner.epoch == 2:
                raise Killed

    runner = make_runner(tmp_path / 'parts', epochs=4, hook=Kill())
    with pytest.raises(Killed):
        runner.train()
    make_runner(tmp_path / 'parts', epochs=4, resume=True).train()
    make_runner(tmp_path / 'whole', epochs=4).train()
    assert report_of(tmp_path / 'parts')['epochs'] == report_of(tmp_path / 'whole')['epochs']


def test_resuming_a_finished_run_reports_it_again(tmp_path):
    make_runner(tmp_path, epochs=2).train()
    first = report_of(tmp_path)
    (tmp_path / 'metrics.json').unlink()
    (tmp_path / 'learning_curves.png').unlink()
    make_runner(tmp_path, epochs=2, resume=True).train()
    assert report_of(tmp_path) == first
    assert (tmp_path / 'learning_curves.png').exists()


def test_epochs_that_are_not_due_stay_unvalidated_after_a_resume(tmp_path):
    make_runner(tmp_path / 'whole', epochs=6, val_interval=3).train()
    make_runner(tmp_path / 'parts', epochs=6, val_interval=3).train()
    resumed = make_runner(
        tmp_path / 'parts', epochs=6, val_interval=3, resume=True, load_from=str(tmp_path / 'parts' / 'epoch_4.pth')
    )
    resumed.train()
    report = report_of(tmp_path / 'parts')
    assert report == report_of(tmp_path / 'whole')
    assert ['accuracy' in epoch for epoch in report['epochs']] == [False, False, True, False, False, True]
    assert report['last5']['epochs'] == [3, 6]


def test_starting_from_given_weights_starts_a_new_history(tmp_path):
    make_runner(tmp_path / 'first', epochs=2).train()
    make_runner(tmp_path / 'second', epochs=1, load_from=str(tmp_path / 'first' / 'epoch_2.pth')).train()
    assert [epoch['epoch'] for epoch in report_of(tmp_path / 'second')['epochs']] == [1]


def test_resuming_a_checkpoint_without_history_begins_at_its_epoch(tmp_path):
    make_runner(tmp_path, epochs=2).train()
    state = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    del state[ProtocolHook.KEY]
    torch.save(state, tmp_path / 'epoch_2.pth')
    make_runner(tmp_path, epochs=3, resume=True).train()
    assert [epoch['epoch'] for epoch in report_of(tmp_path)['epochs']] == [2, 3]


def test_a_checkpoint_holds_nothing_but_plain_values(finished):
    folder, _ = finished

    def walk(value):
        if isinstance(value, dict):
            assert all(type(key) is str for key in value)
            return all(walk(item) for item in value.values())
        return all(walk(item) for item in value) if isinstance(value, list) else type(value) in (int, float, str)

    state = torch.load(folder / 'epoch_7.pth', weights_only=True)[ProtocolHook.KEY]
    assert walk(state)
    assert len(state['records']) == 7


def test_figures_of_other_hooks_join_the_report(tmp_path):
    class Noise(Hook):
        def after_val_epoch(self, runner, metrics=None):
            runner.message_hub.update_scalar('val/noise/precision', 10.0 * runner.epoch)

    make_runner(tmp_path, epochs=2, custom=[Noise()]).train()
    report = report_of(tmp_path)
    assert [epoch['noise/precision'] for epoch in report['epochs']] == [10, 20]
    assert report['last5']['noise/precision'] == 15
    assert not any('time' in key for key in report['last'])


# --- selection ---


def test_the_top_level_key_is_taken_and_test_is_repeated_as_a_warning(tmp_path):
    runner = make_runner(tmp_path, epochs=1, select_on='test', checkpoint=dict(save_best='accuracy'))
    said = []
    runner.logger.warning = said.append
    runner.train()
    report = report_of(tmp_path)
    assert (report['select_on'], report['best']['selected']) == ('test', True)
    assert sum('chosen on the test set' in str(sentence) for sentence in said) == 2
    assert (tmp_path / 'best_accuracy_epoch_1.pth').exists()


def test_val_chooses_on_val(tmp_path):
    make_runner(tmp_path, epochs=1, select_on='val', split='val', checkpoint=dict(save_best='accuracy')).train()
    assert report_of(tmp_path)['best'] | dict(split='val', selected=True) == report_of(tmp_path)['best']


# AffectNet's only public test faces, say, are called validation.
VAL_IS_TEST = {f'{loader}_dataloader': dict(dataset=dict(split='val')) for loader in ('val', 'test')}


def test_validation_faces_that_are_tested_on_are_test_faces(tmp_path):
    runner = make_runner(tmp_path, epochs=1, split='val', cfg=VAL_IS_TEST, select_on='test')
    runner.train()
    assert report_of(tmp_path)['select_on'] == 'test'


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(select_on='val', split='val', cfg=VAL_IS_TEST), r'evaluates the faces of test_dataloader: set.*holdout'),
        (dict(checkpoint=dict(save_best='accuracy')), r"CheckpointHook chooses an epoch .* select_on is None.*'val'"),
        (dict(custom=[dict(type='EarlyStoppingHook', monitor='accuracy')]), r'EarlyStoppingHook chooses an epoch'),
        (dict(select_on='val'), r"select_on='val' but val_dataloader evaluates split 'test'.*holdout"),
        (dict(select_on='test', split='val'), r"select_on='test' but val_dataloader evaluates split 'val'"),
        (dict(select_on='best'), r"select_on must be None, 'val' or 'test', got 'best'"),
    ],
)
def test_choosing_on_the_sly_is_refused(arguments, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        make_runner(tmp_path, **arguments).train()


def test_another_metric_alone_is_refused(tmp_path):
    runner = make_runner(tmp_path)
    runner._val_evaluator = dict(type='Accuracy')
    with pytest.raises(ValueError, match=r'mmfer\.FERMetric.*val_evaluator'):
        runner.train()


def test_a_figure_that_there_is_not_chooses_nothing(tmp_path):
    names = 'accuracy, mean_class_accuracy, macro_f1, recall/'
    with pytest.raises(ValueError, match=rf"metric='acuracy'\) is no figure of a run; choose one of {names}"):
        make_runner(tmp_path, hook=ProtocolHook(metric='acuracy')).train()
