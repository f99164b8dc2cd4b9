"""tools/audit.py: planted wrong labels are found, and a killed audit goes on where it was."""

import csv
import json
import os
import re
import shutil
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniature import draw_face, face_points, make_rafdb
from tools.conftest import load_tool

from mmfer.apis import read_config
from mmfer.apis.audit import evidence as evidence_module
from mmfer.apis.audit.evidence import Evidence
from mmfer.apis.audit.files import write_corrected
from mmfer.apis.audit.folder import write_folder_config
from mmfer.apis.audit.plan import audited_set
from mmfer.apis.audit.verdict import figures, judge
from mmfer.cli.audit import arguments, configure, following, main
from mmfer.datasets import FolderFaces, SyntheticFaces

ROOT = Path(__file__).parents[2]
FACES = {'angry': (0.0, -1.0, -1.0), 'happy': (1.0, 1.0, 1.0), 'sad': (0.3, 0.0, 0.0)}  # mouth, smile, brow
SETTINGS = {
    'train_cfg.max_epochs': 10,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.batch_size': 16,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'data_preprocessor.size': 32,
    'data_preprocessor.augment': '[]',
    'data_preprocessor.augment_normalized': '[]',
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.head.in_channels': 64,
    'optim_wrapper.optimizer.lr': 0.005,
}
OPTIONS = ['--cfg-options', *(f'{key}={value}' for key, value in SETTINGS.items())]
RUN: dict[str, Path] = {}


def plant(root: Path, each: int = 20, wrong: int = 2) -> list[str]:
    """Draws a folder a class; the first faces of each class lie in the folder of the next one, and are returned."""
    random, names, planted = np.random.default_rng(0), list(FACES), []
    for k, (name, (mouth, smile, brow)) in enumerate(FACES.items()):
        for i in range(each):
            points = face_points(mouth_open=mouth, smile=smile, brow=brow)
            points = ((points - 0.5) * random.uniform(0.85, 1) + 0.5) * 32 - 0.5
            image = draw_face(points.astype(np.float32), 32, random.integers(120, 220, 3))
            there = names[(k + 1) % 3] if i < wrong else name
            (root / there).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(root / there / f'{name}{i}.png'), image)
            planted += [f'{there}/{name}{i}.png'] if i < wrong else []
    return planted


def table(folder: Path) -> list[dict[str, str]]:
    with open(folder / 'labels.csv', newline='') as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def audited(tmp_path_factory, capsys) -> Path:
    """The folder `faces`, audited in `work` beside it by the first test that asks; `said` is what was printed."""
    if not RUN:
        folder = tmp_path_factory.mktemp('audit')
        RUN['planted'], RUN['folder'] = plant(folder / 'faces'), folder
        main([str(folder / 'faces'), '--work-dir', str(folder / 'work'), '--folds', '3', *OPTIONS])
        (folder / 'said').write_text(capsys.readouterr().out)
    return RUN['folder']


def test_planted_wrong_labels_are_the_most_doubtful(audited):
    rows, planted = table(audited / 'work'), set(RUN['planted'])
    assert [int(row['rank']) for row in rows] == list(range(1, 61))
    assert len(planted & {row['name'] for row in rows[:8]}) >= 5
    suggested = {row['name']: row['suggested'] for row in rows if row['name'] in planted}
    right = {name: {'a': 'anger', 'h': 'happiness', 's': 'sadness'}[name.split('/')[1][0]] for name in planted}
    assert sum(suggested[name] == right[name] for name in planted) >= 5
    assert {row['fold'] for row in rows} == {'0', '1', '2'}
    assert {row['clean'] for row in rows} == {''}


def test_everything_is_written_and_the_corrected_labels_are_read(audited):
    work, said = audited / 'work', (audited / 'said').read_text()
    rows = table(work)
    changed = {row['name']: row['suggested'] for row in rows if row['changed'] == 'yes'}
    assert 0 < len(changed) < 20
    assert f'{len(changed)} of 60 labels are changed in corrected.csv' in said
    assert json.loads((work / 'audit.json').read_text())['changed'] == len(changed)
    before = FolderFaces(str(audited / 'faces'))
    after = FolderFaces(str(audited / 'faces'), label_noise=dict(kind='corrections', file=str(work / 'corrected.csv')))
    classes = before.metainfo['classes']
    for name, old, new in zip(before.columns['name'], before.get_gt_labels(), after.get_gt_labels(), strict=True):
        assert classes[new] == changed.get(name, classes[old])
    assert set(after.get_clean_labels()) == {-1}  # nobody knows which are right
    assert after.summary().endswith(f'labels corrected by {work / "corrected.csv"}')
    with np.load(work / 'cleanlab.npz') as stored:
        assert stored['pred_probs'].shape == (60, 3)
        np.testing.assert_allclose(stored['pred_probs'].sum(1), 1, atol=1e-5)
    assert len(np.unique(cv2.imread(str(work / 'doubtful.png'))[::5, ::5, 0])) > 30
    assert (work / 'matrix.png').stat().st_size > 1000
    assert 'AUROC' not in said  # nothing is known to be wrong


def test_corrected_labels_can_be_audited_and_corrected_again(audited, tmp_path):
    noise = dict(kind='corrections', file=str(audited / 'work' / 'corrected.csv'))
    cfg = read_config(audited / 'work' / 'config.py', {'train_dataloader.dataset.label_noise': noise})
    dataset = audited_set(cfg, 3)
    observed = dataset.get_gt_labels()
    assert (observed != FolderFaces(str(audited / 'faces')).get_gt_labels()).any()
    probs = np.full((60, 3), 0.1, np.float32)
    probs[np.arange(60), observed] = 0.8
    probs[5] = np.roll(probs[5], 1)
    verdict = judge(dataset, Evidence(probs, probs, np.zeros(60, int), None))
    again = write_corrected(cfg, verdict, tmp_path / 'again.csv', {})
    assert again == dict(kind='corrections', file=str(tmp_path / 'again.csv'))
    labels = FolderFaces(str(audited / 'faces'), label_noise=again).get_gt_labels()
    assert np.flatnonzero(labels != observed).tolist() == [5]


def test_what_is_finished_is_not_done_again(audited, capsys, monkeypatch):
    before = (audited / 'work' / 'labels.csv').read_bytes()
    monkeypatch.setattr(evidence_module, 'train', lambda *_, **__: pytest.fail('it is trained again'))
    work = ['--work-dir', str(audited / 'work'), '--folds', '3']
    main([str(audited / 'faces'), *work, '--fix', '7', *OPTIONS])
    assert '7 of 60 labels are changed' in capsys.readouterr().out
    assert [row['changed'] for row in table(audited / 'work')] == ['yes'] * 7 + ['no'] * 53
    main([str(audited / 'faces'), *work, *OPTIONS])
    assert (audited / 'work' / 'labels.csv').read_bytes() == before


def test_an_audit_that_was_killed_ends_as_one_that_was_not(audited, tmp_path, capsys):
    work = tmp_path / 'work'
    arguments = [str(audited / 'faces'), '--work-dir', str(work), '--folds', '3', *OPTIONS]
    context = get_context('forkserver')
    context.set_forkserver_preload(['mmfer.cli.audit'])
    process = context.Process(target=main, args=(arguments,))
    process.start()
    while not (work / 'fold_1' / 'epoch_6.pth').exists() and process.exitcode is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    first = (work / 'fold_0' / 'out_of_fold.npz').stat().st_mtime_ns
    main(arguments)
    assert (work / 'fold_0' / 'out_of_fold.npz').stat().st_mtime_ns == first
    assert f'resumed from {work}/fold_1/epoch_' in capsys.readouterr().out
    assert (work / 'labels.csv').read_bytes() == (audited / 'work' / 'labels.csv').read_bytes()


def test_stopped_behind_a_training_it_says_how_to_go_on(audited, tmp_path, capsys, monkeypatch):
    work = tmp_path / 'work'
    shutil.copytree(audited / 'work', work)
    (work / 'fold_2' / 'out_of_fold.npz').unlink()
    trained = (work / 'fold_2' / 'epoch_10.pth').stat().st_mtime_ns

    def interrupt(*_):
        raise KeyboardInterrupt

    arguments = [str(audited / 'faces'), '--work-dir', str(work), '--folds', '3', *OPTIONS]
    with monkeypatch.context() as patch:
        patch.setattr(evidence_module, 'predict', interrupt)
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
    assert stopped.value.code == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if 'to go on: ' in line]
    assert str(audited / 'faces') in line
    main(arguments)  # the training that is finished is not begun anew
    assert (work / 'fold_2' / 'epoch_10.pth').stat().st_mtime_ns == trained
    assert (work / 'labels.csv').read_bytes() == (audited / 'work' / 'labels.csv').read_bytes()


def test_another_audit_in_the_folder_is_not_mixed_in(audited, stops):
    arguments = [audited / 'faces', '--work-dir', audited / 'work', *OPTIONS]
    assert stops(main, [*arguments, '--folds', '4']) == (
        f'mmfer: error: {audited}/work has an audit of other labels or with other settings (config, folds or seed): '
        'name another folder with --work-dir, or delete this one'
    )
    assert 'has an audit of other labels' in stops(main, [*arguments, '--folds', '3', '--seed', '1'])


SCN = str(ROOT / 'configs/scn/r18_rafdb_96px_12e_sym30.py')


def test_where_the_truth_is_known_every_score_is_held_against_it(tmp_path, capsys):
    data = make_rafdb(tmp_path / 'data', per_class=8, size=32, test_per_class=2, landmarks=False)
    small = {key: value for key, value in SETTINGS.items() if 'augment' not in key}
    small |= {'train_cfg.max_epochs': 2, 'train_dataloader.dataset.data_root': data}
    small |= {'train_dataloader.dataset.pipeline.0.size': 32, 'val_dataloader.dataset.data_root': data}
    relabel = dict(start_epoch=1, margin=0.0, scope='all')
    small |= {f'model.supervision.scn.refiners.relabel.{key}': value for key, value in relabel.items()}
    typed = ['--cfg-options', *(f'{key}={value}' for key, value in small.items())]
    main([SCN, '--work-dir', str(tmp_path / 'work'), '--folds', '2', *typed])
    said = capsys.readouterr().out
    for score in ('self_confidence', 'seen_confidence', 'class_adjusted', 'remembered', 'combined'):
        assert re.search(rf'^  {score} +AUROC +[0-9.]+  average precision +[0-9.]+$', said, re.MULTILINE)
    dataset = audited_set(read_config(SCN, {key: value for key, value in small.items() if 'dataset' in key}), 2)
    rate = 100 * (dataset.get_gt_labels() != dataset.get_clean_labels()).mean()
    assert f'{rate:.1f} % of the labels are known to be wrong' in said
    rows = {row['name']: row for row in table(tmp_path / 'work')}
    for name, label in zip(dataset.columns['name'], dataset.get_clean_labels(), strict=True):
        assert rows[name]['clean'] == dataset.metainfo['classes'][label]
    remembered = [float(row['remembered']) for row in rows.values() if row['remembered']]
    assert len(remembered) > 40  # a few may never have been drawn
    assert 0.3 < np.mean(remembered) < 0.7
    assert (
        ' train_dataloader.dataset.label_noise._delete_=True train_dataloader.dataset.label_noise.kind=manifest '
        in said
    )


def test_figures_are_those_of_a_ranking_by_hand():
    dataset = SyntheticFaces(num=60, size=16, cache_dir=None, label_noise=dict(kind='symmetric', rate=0.3))
    del dataset.columns['landmarks']  # shapes have a test of their own
    observed, clean = dataset.get_gt_labels(), dataset.get_clean_labels()
    knows = np.full((60, 7), 0.05, np.float32)
    knows[np.arange(60), clean] = 0.7
    remembered = np.where(np.arange(60) % 2, np.nan, (observed != clean).astype(float))
    verdict = judge(dataset, Evidence(knows, knows, np.zeros(60, int), remembered))
    found = figures(verdict)
    assert found['self_confidence'] == found['combined'] == dict(auroc=100, average_precision=100)
    assert found['remembered']['auroc'] < 100  # of half of the faces it knows nothing
    assert np.array_equal(verdict.beliefs.believed, clean)
    even = np.full((60, 7), 1 / 7, np.float32)
    for seen in (even, knows):  # two that do not believe the same change nothing, nor do two that know nothing
        first = even if seen is even else np.roll(knows, 1, axis=1)
        unsure = judge(dataset, Evidence(first, seen, np.zeros(60, int), None))
        assert len(unsure.beliefs.doubted) == 0
    assert list(unsure.doubts) == ['self_confidence', 'seen_confidence', 'class_adjusted', 'combined']


@pytest.mark.parametrize(
    ('counts', 'folds', 'sentence'),
    [
        ((60,), 5, 'faces of one class only (anger): a wrong label is one of another class'),
        ((20, 20), 5, '40 faces, from which no network learns: an audit needs 50 or more; look at so few yourself'),
        (
            (50, 3),
            5,
            'fewer faces of a class than folds (5): happiness 3; ask for fewer folds (--folds 3), add faces, or leave '
            'the class out with drop_classes and metainfo=dict(classes=...)',
        ),
    ],
)
def test_too_few_faces_are_a_sentence(tmp_path, stops, counts, folds, sentence):
    for name, count in zip(('angry', 'happy'), counts, strict=False):
        (tmp_path / 'few' / name).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(tmp_path / 'few' / name / f'{i}.png'), np.full((8, 8, 3), i, np.uint8))
    arguments = [tmp_path / 'few', '--work-dir', tmp_path / 'work', '--folds', str(folds)]
    assert stops(main, arguments) == f'mmfer: error: {tmp_path}/few has {sentence}'


def test_what_is_no_audit_is_a_sentence(tmp_path, stops, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stops(main, ['fases']) == 'mmfer: error: there is no config and no folder fases'
    Path('empty').mkdir()
    assert 'FolderFaces expects train in ' in stops(main, ['empty'])
    assert stops(main, [SCN, '--config', 'x.py']) == (
        f'mmfer: error: --config is for a folder of class folders, and {SCN} is none'
    )
    (tmp_path / 'numbered' / '1').mkdir(parents=True)
    cv2.imwrite('numbered/1/0.png', np.zeros((8, 8, 3), np.uint8))
    said = stops(main, ['numbered'])
    assert 'do not say what the classes are' in said
    assert said.endswith('; here with --classes')
    chosen = ['configs/baseline/r18_synthfaces.py', '--cfg-options', 'train_dataloader.dataset.indices=60']
    assert 'indices chooses some of the faces' in stops(main, [ROOT / chosen[0], *chosen[1:]])
    both = ROOT / 'configs/scn/r18_rafdb_affectnet7.py'
    assert 'holds other data sets, and labels are audited of one at a time' in stops(main, [both])
    assert load_tool('audit').main is main


def test_a_folder_gets_the_network_that_is_named(tmp_path):
    for split in ('train', 'Test'):
        for number in '123':
            (tmp_path / 'faces' / split / number).mkdir(parents=True)
            assert cv2.imwrite(str(tmp_path / 'faces' / split / number / '0.png'), np.zeros((8, 8, 3), np.uint8))
    mine = tmp_path / 'mine.py'
    mine.write_text("_base_ = 'mmfer::baseline/dlibface_rafdb_96px_12e.py'\ndata_preprocessor = dict(size=64)\n")
    arguments = [tmp_path / 'faces', tmp_path / 'work', str(mine), ['anger', 'fear', 'joy']]
    cfg = read_config(write_folder_config(*arguments))
    assert (cfg.model.backbone.type, cfg.data_preprocessor.size) == ('mmfer.DlibFaceNet', 64)
    assert cfg.model.head.num_classes == 3
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    assert [loader.dataset.split for loader in loaders] == ['train', 'test', 'test']  # which is its own
    assert all(loader.dataset.holdout is None for loader in loaders)
    tested = FolderFaces(**{key: value for key, value in cfg.test_dataloader.dataset.items() if key != 'type'})
    assert tested.metainfo['classes'] == ('anger', 'fear', 'joy')
    arguments[0] = tmp_path / 'faces' / 'train'
    cfg = read_config(write_folder_config(*arguments))
    assert [loader.dataset.split for loader in (cfg.train_dataloader, cfg.val_dataloader)] == ['train', 'val']
    assert cfg.train_dataloader.dataset.holdout == cfg.val_dataloader.dataset.holdout == dict(fraction=0.1, seed=0)


def test_mixed_precision_goes_on_in_the_next_command(tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    plant(tmp_path / 'faces')
    words = [str(tmp_path / 'faces'), '--work-dir', str(tmp_path / 'work')]
    for more in ([], ['--amp']):
        args = arguments().parse_args([*words, *more])
        cfg = configure(args)
        assert (cfg.optim_wrapper.get('type') == 'AmpOptimWrapper') == bool(more)
        following_words = following(cfg, args, dict(kind='corrections', file='corrected.csv')).split()
        assert ('--amp' in following_words) == bool(more)
