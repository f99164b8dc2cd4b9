"""RelabelLogHook, and that a relabel is seen in the next epoch also where loaders keep their workers."""

import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from miniature import make_rafdb
from mmengine.runner import Runner

from mmfer.datasets import RAFDB, ConcatFaces
from mmfer.engine.hooks import RelabelLogHook
from mmfer.engine.hooks.relabel_log import FIELDS, read_rows
from mmfer.models.supervision import Part
from mmfer.registry import HOOKS, MODELS
from mmfer.structures import Column, SampleBank

sys.path.insert(0, str(Path(__file__).parents[1] / 'models'))

from tiny import CE, network

# Python 3.12 and later warn when loaders fork their workers beside torch's threads.
pytestmark = pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning')

NOISE = dict(kind='symmetric', rate=0.3, seed=0)


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    return make_rafdb(tmp_path_factory.mktemp('rafdb'), per_class=3, size=32, landmarks=False)


def table(folder):
    with (folder / 'relabels.csv').open(newline='', encoding='utf-8') as stream:
        return list(csv.DictReader(stream))


# --- the table ---


class Run:
    """A runner in small, whose epochs relabel as they are told."""

    def __init__(self, folder, dataset, labels=None, epoch=0):
        self.bank, self.hook = SampleBank(), HOOKS.build(dict(type='mmfer.RelabelLogHook'))
        self.bank.declare({'relabelled': Column(dtype=torch.int64, start='label')}, 'here')
        self.bank.allocate(torch.as_tensor(dataset.get_gt_labels()), 7)
        self.bank.column('relabelled').copy_(self.bank.labels if labels is None else labels)
        self.warnings = []
        self.runner = SimpleNamespace(
            model=SimpleNamespace(supervision=SimpleNamespace(bank=self.bank)),
            work_dir=str(folder),
            epoch=epoch,
            train_dataloader=SimpleNamespace(dataset=dataset),
            logger=SimpleNamespace(warning=self.warnings.append),
        )
        self.hook.before_train(self.runner)

    def train(self, *steps):
        """An epoch; every step gives faces new labels."""
        self.hook.before_train_epoch(self.runner)
        for step in steps:
            self.bank.stage('relabelled', torch.tensor(list(step)), torch.tensor(list(step.values())))
            self.bank.commit()
        self.hook.after_train_epoch(self.runner)
        self.runner.epoch += 1


@pytest.fixture
def noisy(faces):
    return RAFDB(data_root=faces, label_noise=NOISE)


def test_every_relabel_is_a_row(noisy, tmp_path):
    observed, clean = noisy.columns['label'], noisy.columns['clean_label']
    mended, spoilt = int((observed != clean).argmax()), int((observed == clean).argmax())
    other = (observed[spoilt] + 1) % 7
    run = Run(tmp_path, noisy)
    assert table(tmp_path) == []
    run.train()
    run.train({mended: clean[mended], spoilt: other})
    run.train({spoilt: observed[spoilt]})
    classes = noisy.metainfo['classes']

    def row(epoch, face, old, new, right):
        return dict(
            epoch=str(epoch),
            sample_idx=str(face),
            name=noisy.columns['name'][face],
            old=classes[old],
            new=classes[new],
            clean=classes[clean[face]],
            right=right,
        )

    expected = [row(2, mended, observed[mended], clean[mended], 'yes'), row(2, spoilt, observed[spoilt], other, 'no')]
    assert table(tmp_path) == [
        *sorted(expected, key=lambda r: int(r['sample_idx'])),
        row(3, spoilt, other, observed[spoilt], 'yes'),
    ]
    assert run.warnings == []


def test_an_epoch_counts_as_a_whole(noisy, tmp_path):
    old = int(noisy.columns['label'][4])
    there, on = (old + 1) % 7, (old + 2) % 7
    run = Run(tmp_path, noisy)
    run.train({4: there}, {4: old})
    assert table(tmp_path) == []
    run.train({4: there}, {4: on})
    classes = noisy.metainfo['classes']
    assert [(row['old'], row['new']) for row in table(tmp_path)] == [(classes[old], classes[on])]


def test_where_the_clean_label_is_unknown_nothing_is_said_of_it(faces, tmp_path):
    dataset = RAFDB(data_root=faces)
    run = Run(tmp_path, dataset)
    run.train({0: (dataset.columns['label'][0] + 1) % 7})
    (row,) = table(tmp_path)
    assert (row['clean'], row['right']) == ('', '')


def test_faces_of_several_datasets_have_names_and_truths_of_their_own(faces, noisy, tmp_path):
    several = ConcatFaces([RAFDB(data_root=faces), noisy])
    face, new = len(noisy) + 2, (several.get_gt_labels() + 1) % 7
    Run(tmp_path, several).train({face: new[face], 2: new[2]})
    first, second = table(tmp_path)
    assert (first['sample_idx'], first['clean']) == ('2', '')
    assert second['sample_idx'] == str(face)
    assert second['clean'] == noisy.metainfo['classes'][noisy.columns['clean_label'][2]]
    assert Path(second['name']).name == noisy.columns['name'][2]


def test_a_new_run_begins_a_new_table(noisy, tmp_path):
    Run(tmp_path, noisy).train({1: 0, 2: 1, 3: 2})
    Run(tmp_path, noisy)
    assert table(tmp_path) == []


def test_a_resumed_run_takes_out_what_it_repeats(noisy, tmp_path):
    run = Run(tmp_path, noisy)
    run.train({1: 0, 2: 1, 3: 2})
    kept, labels = (tmp_path / 'relabels.csv').read_bytes(), run.bank.column('relabelled').clone()
    run.train({1: 3, 2: 3, 3: 3})
    with (tmp_path / 'relabels.csv').open('a') as stream:
        stream.write('3,1,train_0')  # cut off while it was written
    Run(tmp_path, noisy, labels, epoch=1)
    assert (tmp_path / 'relabels.csv').read_bytes() == kept
    assert len(table(tmp_path)) >= 2


def test_a_resume_elsewhere_says_what_is_missing(noisy, tmp_path):
    run = Run(tmp_path, noisy, epoch=3)
    assert table(tmp_path) == []
    assert 'the relabels up to epoch 3 will be missing' in run.warnings[0]


def test_runs_that_relabel_nothing_write_nothing(noisy, tmp_path):
    bank = SampleBank()
    for model in (
        SimpleNamespace(),
        SimpleNamespace(supervision=None),
        SimpleNamespace(supervision=SimpleNamespace(bank=bank)),
    ):
        runner, hook = SimpleNamespace(model=model, work_dir=str(tmp_path), epoch=0), RelabelLogHook()
        hook.before_train(runner)
        hook.before_train_epoch(runner)
        hook.after_train_epoch(runner)
    assert list(tmp_path.iterdir()) == []


def test_only_the_main_process_writes(noisy, tmp_path, monkeypatch):
    monkeypatch.setattr('mmfer.engine.hooks.relabel_log.is_main_process', lambda: False)
    Run(tmp_path, noisy).train({1: 0, 2: 1})
    assert list(tmp_path.iterdir()) == []


# --- real runs ---


@MODELS.register_module(name='TargetsSeen', force=True)
class TargetsSeen(Part):
    """A loss that is none: notes every face's label and target by epoch."""

    loss_weight = 0.0

    def __init__(self):
        super().__init__()
        self.targets, self.labels = {}, {}

    def forward(self, label, target, sample_idx, epoch):
        faces = sample_idx.tolist()
        self.labels.setdefault(epoch, {}).update(zip(faces, label.tolist(), strict=True))
        self.targets.setdefault(epoch, {}).update(zip(faces, target.tolist(), strict=True))
        return torch.zeros(())


@MODELS.register_module(name='WritesIntoTheDataset', force=True)
class WritesIntoTheDataset(Part):
    """Relabels as the original does: by writing into the dataset that the main process holds."""

    runner = None

    def forward(self, logits, sample_idx):
        self.runner.train_dataloader.dataset.columns['label'][sample_idx.numpy()] = logits.argmax(1).numpy()
        return {}


RELABEL = dict(type='mmfer.MarginRelabel', margin=0.0, start_epoch=1, scope='all')


@pytest.fixture
def make_runner(faces, tmp_path):
    loaders = []

    def make(relabel=RELABEL, workers=1, persistent=True, epochs=2, folder='run', resume=False):
        cfg = network(classes=7)
        cfg['head'] = dict(cfg['head'], type='mmfer.SCNHead')
        scn = dict(
            taps=dict(importance='head.attention'),
            refiners=dict(relabel=relabel),
            losses=dict(rank=dict(type='mmfer.RankRegularizationLoss'), seen=dict(type='mmfer.TargetsSeen')),
        )
        runner = Runner(
            model=dict(
                type='mmfer.FERClassifier',
                data_preprocessor=dict(type='mmfer.FaceDataPreprocessor', size=32),
                supervision=dict(cls=CE, scn=scn),
                **cfg,
            ),
            work_dir=str(tmp_path / folder),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            train_dataloader=dict(
                dataset=dict(
                    type='mmfer.RAFDB',
                    data_root=faces,
                    label_noise=NOISE,
                    pipeline=[dict(type='mmfer.LoadFace', size=32), dict(type='mmfer.PackFace')],
                ),
                batch_size=7,
                num_workers=workers,
                persistent_workers=persistent and workers > 0,
                collate_fn=dict(type='mmfer.collate_faces'),
                sampler=dict(type='DefaultSampler', shuffle=True),
            ),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-2)),
            default_scope='mmpretrain',
            log_level='WARNING',
            custom_hooks=[dict(type=f'mmfer.{name}Hook') for name in ('Reseed', 'SampleBank', 'RelabelLog')],
            randomness=dict(seed=0),
            resume=resume,
        )
        loaders.append(runner)
        return runner

    yield make
    for runner in loaders:
        iterator = getattr(runner.train_dataloader, '_iterator', None)
        if iterator is not None and hasattr(iterator, '_shutdown_workers'):
            iterator._shutdown_workers()  # left to the garbage collector, each would be waited for in vain for 5 s


def seen_by(runner):
    return runner.model.supervision.methods['scn']['losses']['seen']


def test_a_relabel_is_seen_in_the_next_epoch_though_workers_stay(make_runner):
    runner = make_runner()
    runner.train()
    seen, dataset = seen_by(runner), runner.train_dataloader.dataset
    observed = dict(enumerate(dataset.get_gt_labels().tolist()))
    first = {
        int(row['sample_idx']): dataset.metainfo['classes'].index(row['new'])
        for row in table(Path(runner.work_dir))
        if row['epoch'] == '1'
    }
    assert len(first) > 5
    assert seen.targets[0] == observed  # each face is drawn once, so nothing counts in its first epoch
    assert seen.targets[1] == observed | first
    assert seen.labels[1] == observed


@pytest.mark.parametrize(
    ('workers', 'persistent'),
    [(1, True), (1, False), (0, False)],
    ids=['workers that stay', 'new workers', 'no workers'],
)
def test_labels_written_into_the_dataset_never_reach_workers_that_stay(
    make_runner, monkeypatch, faces, workers, persistent
):
    """The test above would notice the original's way, which needs workers that are started anew, or none."""
    runner = make_runner(dict(type='mmfer.WritesIntoTheDataset'), workers, persistent)
    monkeypatch.setattr(WritesIntoTheDataset, 'runner', runner)
    before = RAFDB(data_root=faces, label_noise=NOISE).get_gt_labels()
    runner.train()
    seen, written = seen_by(runner), runner.train_dataloader.dataset.get_gt_labels()
    assert (written != before).sum() > 5
    assert seen.targets[0] == dict(enumerate(before.tolist()))
    assert (seen.targets[1] == seen.targets[0]) == (workers == 1 and persistent)


def test_two_and_two_epochs_write_the_table_of_four(make_runner, tmp_path):
    make_runner(workers=0, epochs=4, folder='whole').train()
    make_runner(workers=0, epochs=3, folder='parts').train()
    (tmp_path / 'parts' / 'last_checkpoint').write_text(str(tmp_path / 'parts' / 'epoch_2.pth'))
    three = table(tmp_path / 'parts')
    make_runner(workers=0, epochs=4, folder='parts', resume=True).train()
    assert (tmp_path / 'parts' / 'relabels.csv').read_bytes() == (tmp_path / 'whole' / 'relabels.csv').read_bytes()
    epochs = [int(row['epoch']) for row in table(tmp_path / 'whole')]
    assert sorted(set(epochs)) == [1, 2, 3, 4]
    assert {row['epoch'] for row in three} == {'1', '2', '3'}


def test_rows_whose_epoch_is_no_number_are_left_out(tmp_path):
    epochs = ('1', '2', '3', '²', '9' * 5000, '-1', '1.0', '')
    rows = [[epoch, '0', 'a.jpg', 'fear', 'anger', '', ''] for epoch in epochs]
    path = tmp_path / 'relabels.csv'
    path.write_text('\n'.join([','.join(FIELDS), *map(','.join, rows), '2,0,a.j']))
    assert [row[0] for row in read_rows(path, 2)] == ['1', '2']
