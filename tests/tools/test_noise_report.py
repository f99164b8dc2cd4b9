"""tools/analysis_tools/noise_report.py and mmfer.apis.analysis.beliefs: what a run believes, and how right it is."""

import csv
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from scn_run import scn_run
from tools.conftest import load_tool

from mmfer.apis import FacePredictor, read_config
from mmfer.apis.analysis import noise_report
from mmfer.apis.analysis.beliefs import Beliefs, Score, beliefs_of, score, separation
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.analysis.noise_report import draw_matrix, draw_worst, write_cleanlab, write_doubts
from mmfer.datasets import ConcatFaces, SyntheticFaces

CLASSES = ('a', 'b', 'c')
SOURCES = dict(believed='relabelled', trust='importance', probs='prediction')

# Six faces: 0, 1, 3 and 5 are doubted; 1, 2, 3 and, where the truth is known, no other are mislabelled.
SIX = Beliefs(
    CLASSES,
    [f'{i}.jpg' for i in range(6)],
    observed=np.array([0, 0, 0, 1, 2, 2]),
    believed=np.array([1, 1, 0, 2, 2, 0]),
    trust=np.array([0.5, 0.2, 0.1, 0.5, 0.9, 0.3]),
    probs=np.full((6, 3), 1 / 3, dtype=np.float32),
    clean=np.array([0, 1, 1, 0, 2, -1]),
    sources=SOURCES,
    seen=np.ones(6, dtype=bool),
)


def test_doubted_faces_come_first_and_the_least_trusted_of_them():
    assert SIX.doubted.tolist() == [1, 5, 0, 3]
    assert SIX.worst.tolist() == [1, 5, 0, 3, 2, 4]


def test_precision_and_recall_count_faces_whose_truth_is_known():
    assert score(SIX) == Score(doubted=3, wrong=3, found=2, mended=1)
    assert score(SIX, label=0) == Score(doubted=2, wrong=2, found=1, mended=1)
    assert str(score(SIX)) == (
        'detection precision  66.7 %  detection recall  66.7 %  '
        'right label for  50.0 % of those found,  33.3 % of all wrong'
    )
    assert str(score(SIX, label=2)) == (
        'detection precision       -  detection recall       -  '
        'right label for       - of those found,       - of all wrong'
    )
    # Right: .5 and .9; wrong: .2, .1, .5. Five of six pairs, and a tie.
    assert separation(SIX) == pytest.approx(5.5 / 6)
    assert separation(replace(SIX, clean=np.full(6, -1))) is None
    assert separation(replace(SIX, clean=SIX.observed)) is None


def test_the_table_has_the_doubted_faces_worst_first(tmp_path):
    with write_doubts(SIX, tmp_path / 'new' / 'doubts.csv').open(newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert [row['name'] for row in rows] == ['1.jpg', '5.jpg', '0.jpg', '3.jpg']
    assert rows[0] == dict(
        name='1.jpg',
        sample_idx='1',
        observed='a',
        believed='b',
        trust='0.200000',
        believed_from='relabelled',
        trust_from='importance',
        clean='b',
    )
    assert rows[1]['clean'] == ''


def test_cleanlab_gets_all_faces_without_pickles(tmp_path):
    path = write_cleanlab(SIX, tmp_path / 'new' / 'cleanlab.npz')
    with np.load(path, allow_pickle=False) as data:
        assert data['labels'].tolist() == [0, 0, 0, 1, 2, 2]
        assert data['pred_probs'].shape == (6, 3)
        np.testing.assert_allclose(data['pred_probs'].sum(1), 1, atol=1e-6)
        assert data['names'].tolist() == SIX.names
        assert data['classes'].tolist() == list(CLASSES)
        assert data['trust'].tolist() == SIX.trust.tolist()
    assert [file.name for file in path.parent.iterdir()] == ['cleanlab.npz']


def test_the_matrices_count_observed_against_believed_and_clean(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(noise_report, 'draw_label_noise', lambda panels, *_: drawn.update(panels))
    draw_matrix(SIX, tmp_path / 'x.png')
    assert drawn['believed (relabelled)'].tolist() == [[1, 2, 0], [0, 0, 1], [1, 0, 1]]
    assert drawn['clean'].tolist() == [[1, 2, 0], [1, 0, 0], [0, 0, 1]]
    drawn.clear()
    draw_matrix(replace(SIX, clean=np.full(6, -1)), tmp_path / 'x.png')
    assert list(drawn) == ['believed (relabelled)']


@pytest.fixture
def scn(tmp_path_factory):
    return scn_run(tmp_path_factory)


@pytest.fixture
def run(scn):
    """Read anew, so that a test may change what it remembers."""
    return read_run(scn.config, scn.checkpoint, scn.options, device='cpu')


def remember(run, **columns):
    run._remembered = dict(fingerprint=run.dataset.fingerprint(), columns=columns)


def predictions(scn, run):
    names = run.dataset.columns['name'].tolist()
    faces = [cv2.imread(f'{run.dataset.image_folder}/{name}') for name in names]
    return FacePredictor(read_config(scn.config, scn.options), scn.checkpoint, device='cpu')(faces)


def test_scn_believes_its_labels_and_trusts_by_importance(scn, run):
    relabelled, importance = torch.arange(28) % 7, torch.linspace(0.1, 0.9, 28)
    remember(run, relabelled=relabelled, importance=importance)
    beliefs = beliefs_of(run)
    assert beliefs.sources == dict(believed='relabelled', trust='importance', probs='prediction')
    assert beliefs.believed.tolist() == relabelled.tolist()
    assert beliefs.trust.tolist() == importance.tolist()
    np.testing.assert_allclose(beliefs.probs, predictions(scn, run), atol=1e-5)
    assert beliefs.observed.tolist() == run.dataset.columns['label'].tolist()
    assert beliefs.clean.tolist() == run.dataset.columns['clean_label'].tolist()
    assert beliefs.names == run.dataset.columns['name'].tolist()


def test_a_label_distribution_says_all_there_is_to_say(run):
    distribution = torch.from_numpy(np.random.default_rng(0).dirichlet([1] * 7, 28).astype(np.float32))
    remember(run, label_distribution=distribution, relabelled=torch.zeros(28, dtype=torch.int64))
    beliefs = beliefs_of(run, lambda batches, total: pytest.fail('the network is not asked'))
    assert set(beliefs.sources.values()) == {'label_distribution'}
    assert beliefs.believed.tolist() == distribution.argmax(1).tolist()
    assert beliefs.trust.tolist() == [distribution[i, k].item() for i, k in enumerate(beliefs.observed)]
    assert np.array_equal(beliefs.probs, distribution.numpy())


def test_reliability_is_trust_and_the_network_believes(scn, run):
    remember(run, instability=torch.zeros(28), reliability=torch.linspace(1, 0, 28))
    beliefs = beliefs_of(run)
    assert beliefs.sources == dict(believed='prediction', trust='reliability', probs='prediction')
    assert beliefs.trust[0] == 1
    assert beliefs.believed.tolist() == predictions(scn, run).argmax(1).tolist()


def test_faces_that_were_never_drawn_are_in_no_figure_table_or_picture(run, tmp_path, monkeypatch, capsys):
    """Their memory is where it began: trusted most of all, and never doubted."""
    importance, seen = torch.linspace(0.1, 0.9, 28), torch.arange(28) % 3 > 0
    relabelled = torch.from_numpy(run.dataset.get_gt_labels())
    relabelled[:9] = (relabelled[:9] + 1) % 7
    remember(run, relabelled=relabelled, importance=torch.where(seen, importance, 1.0))
    run._remembered['seen'] = seen
    beliefs = beliefs_of(run)
    assert beliefs.seen.tolist() == seen.tolist()
    assert sorted(beliefs.worst.tolist()) == seen.nonzero().flatten().tolist()
    assert beliefs.doubted.tolist() == [1, 2, 4, 5, 7, 8]
    clean, observed = beliefs.clean, beliefs.observed
    assert score(beliefs).wrong == ((clean != observed) & seen.numpy()).sum()
    with np.load(write_cleanlab(beliefs, tmp_path / 'x.npz')) as stored:
        assert stored['names'].tolist() == [name for name, was in zip(beliefs.names, seen.tolist(), strict=True) if was]
        assert np.array_equal(stored['trust'], importance[seen].numpy())
    panels = {}
    monkeypatch.setattr(noise_report, 'draw_label_noise', lambda found, *_: panels.update(found))
    draw_matrix(beliefs, tmp_path / 'x.png')
    assert all(counts.sum() == seen.sum() for counts in panels.values())
    load_tool('analysis_tools/noise_report').say(beliefs, held_out=True)
    said = capsys.readouterr().out
    assert '6 of 18 labels are believed to be wrong' in said
    assert 'left out: 10 faces that training has never drawn' in said


def test_predictions_need_no_training_on_a_face(run):
    remember(run, instability=torch.zeros(28))
    run._remembered['seen'] = torch.zeros(28, dtype=torch.bool)
    assert beliefs_of(run).seen.all()


def test_an_earlier_checkpoint_tells_by_the_values(run):
    importance = torch.where(torch.arange(28) < 20, 0.5, 1.0)
    remember(run, relabelled=torch.from_numpy(run.dataset.get_gt_labels()), importance=importance)
    assert run.seen.tolist() == [True] * 20 + [False] * 8
    remember(run, label_distribution=torch.full((28, 7), 1 / 7))  # of which SCN's model knows nothing
    assert run.seen.all()


def test_without_memory_the_network_says_it(scn, run):
    run._remembered = None
    seen = []
    beliefs = beliefs_of(run, lambda batches, total: seen.append(total) or batches)
    assert seen == [1]
    assert set(beliefs.sources.values()) == {'prediction'}
    expected = predictions(scn, run)
    np.testing.assert_allclose(beliefs.trust, expected[np.arange(28), beliefs.observed], atol=1e-5)


def test_several_data_sets_in_one_have_beliefs_too():
    data = ConcatFaces(
        [
            SyntheticFaces(num=5, size=16, seed=seed, cache_dir=None, label_noise=label_noise)
            for seed, label_noise in ((0, None), (1, dict(kind='symmetric', rate=0.5)))
        ]
    )
    bank = dict(label_distribution=torch.eye(7)[[0, 1, 2] * 3 + [0]])
    beliefs = beliefs_of(SimpleNamespace(dataset=data, bank=bank, seen=np.ones(10, dtype=bool)))
    assert beliefs.believed.tolist() == [0, 1, 2] * 3 + [0]
    assert beliefs.observed.tolist() == data.get_gt_labels().tolist()
    assert [name[-5:] for name in beliefs.names] == ['seed0'] * 5 + ['seed1'] * 5
    assert beliefs.clean.tolist() == [-1] * 5 + data.datasets[1].columns['clean_label'].tolist()


def test_the_worst_faces_are_framed_by_the_truth(run, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        noise_report,
        'draw_contact_sheet',
        lambda images, captions, path, title, colours: drawn.update(
            images=images, captions=captions, colours=colours, title=title
        ),
    )
    draw_worst(run.dataset, SIX, tmp_path / 'x.png', faces=5)
    assert drawn['captions'] == [
        'a → b\n0.200  clean: b',
        'c → a\n0.300',
        'a → b\n0.500  clean: a',
        'b → c\n0.500  clean: a',
        'a\n0.100  clean: b',
    ]
    green, red, grey = noise_report.frames(np.array([0, 0, 0]), np.array([0, 1, -1]))
    assert drawn['colours'] == [green, grey, red, red, red]
    assert all((a == b).all() for a, b in zip(drawn['images'], run.pictures([1, 5, 0, 3, 2]), strict=True))
    with pytest.raises(ValueError, match='must be at least 1, got 0'):
        draw_worst(run.dataset, SIX, tmp_path / 'x.png', faces=0)


def test_the_tool_writes_everything_and_says_how_right_it_is(scn, tmp_path, capsys):
    load_tool('analysis_tools/noise_report').main(
        [scn.config, str(scn.checkpoint), '--out', str(tmp_path / 'new'), '--faces', '8', *scn.typed]
    )
    said = capsys.readouterr().out
    assert {file.name for file in (tmp_path / 'new').iterdir()} == {
        'doubts.csv',
        'cleanlab.npz',
        'matrix.png',
        'worst.png',
    }
    assert '(belief: relabelled, trust: importance, pred_probs: prediction)' in said
    assert 'predictions of held-out faces are better' in said
    beliefs = beliefs_of(read_run(scn.config, scn.checkpoint, scn.options, device='cpu'))
    assert f'{len(beliefs.doubted)} of 28 labels are believed to be wrong' in said
    assert f'  {"all":12}{score(beliefs)}' in said
    assert len(np.unique(cv2.imread(str(tmp_path / 'new' / 'worst.png')).reshape(-1, 3), axis=0)) > 100
