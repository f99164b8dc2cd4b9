"""tools/analysis_tools/{relabels,importance}.py: the right faces, labels and frames."""

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scn_run import scn_run

from mmfer.apis.analysis import doubts
from mmfer.apis.analysis.inspection import read_run

FOLDER = Path(__file__).parents[2] / 'tools' / 'analysis_tools'
GREEN, RED, GREY = doubts.RIGHT, doubts.WRONG, doubts.UNKNOWN


@pytest.fixture
def scn(tmp_path_factory):
    return scn_run(tmp_path_factory)


def tool(name):
    return importlib.import_module(f'mmfer.cli.analyze.{name}').main


@pytest.fixture
def sheet(monkeypatch):
    """What would have been drawn."""
    drawn = {}

    def draw(images, captions, path, columns=8, title='', colours=None):
        drawn.update(images=images, captions=captions, columns=columns, title=title, colours=colours)
        return Path(path)

    monkeypatch.setattr(doubts, 'draw_contact_sheet', draw)
    return drawn


@pytest.fixture
def inspected(scn):
    """The run, with a memory that the test knows."""
    run = read_run(scn.config, scn.checkpoint, scn.options, device='cpu')
    columns = run.dataset.columns
    observed, clean = torch.from_numpy(columns['label'].copy()), torch.from_numpy(columns['clean_label'].copy())
    believed = observed.clone()
    believed[observed != clean] = clean[observed != clean]  # all mended
    believed[(observed == clean).nonzero()[:3, 0]] += 1  # three spoilt
    believed %= 7
    run._remembered = dict(
        fingerprint=run.dataset.fingerprint(),
        columns=dict(relabelled=believed, importance=torch.linspace(0.9, 0.1, 28)),
        seen=torch.ones(28, dtype=torch.bool),
    )
    return run, observed, clean, believed


def test_relabelled_faces_are_shown_with_both_labels(inspected, sheet, tmp_path):
    run, observed, clean, believed = inspected
    doubts.draw_relabels(run, tmp_path / 'out.png', faces=99)
    wrong = int((observed != clean).sum())
    assert wrong > 3
    assert sheet['colours'] == [GREEN] * wrong + [RED] * 3
    classes = run.dataset.metainfo['classes']
    shown = [*(observed != clean).nonzero().flatten().tolist(), *(observed == clean).nonzero()[:3, 0].tolist()]
    assert sheet['captions'] == [
        f'{classes[observed[i]]} → {classes[believed[i]]}\nclean: {classes[clean[i]]}' for i in shown
    ]
    assert all((image == picture).all() for image, picture in zip(sheet['images'], run.pictures(shown), strict=True))
    assert sheet['title'].startswith(f'{wrong + 3} of 28 faces relabelled, {100 * wrong / (wrong + 3):.1f} % of them')


def test_some_of_many_are_drawn_by_the_seed(inspected, sheet, tmp_path):
    captions = []
    for seed in (0, 0, 1):
        doubts.draw_relabels(inspected[0], tmp_path / 'out.png', faces=4, seed=seed)
        captions.append(sheet['captions'])
    assert len(captions[0]) == 4
    assert captions[0] == captions[1] != captions[2]


def test_the_least_important_come_first(inspected, sheet, tmp_path):
    run, observed, clean, _ = inspected
    doubts.draw_importance(run, tmp_path / 'out.png', faces=9)
    shown = [27, 26, 25, 24, 3, 2, 1, 0]
    classes = run.dataset.metainfo['classes']
    assert (sheet['columns'], len(sheet['images'])) == (4, 8)
    assert sheet['captions'][0] == f'0.100  {classes[observed[27]]}\nclean: {classes[clean[27]]}'
    assert [float(caption.split()[0]) for caption in sheet['captions']] == sorted(
        round(run.bank['importance'][i].item(), 3) for i in shown
    )
    assert sheet['colours'] == [GREEN if observed[i] == clean[i] else RED for i in shown]


def test_faces_that_were_never_drawn_are_not_the_most_important(inspected, sheet, tmp_path):
    run = inspected[0]
    run._remembered['columns']['importance'] = torch.where(torch.arange(28) < 10, torch.linspace(0.9, 0.1, 28), 1.0)
    run._remembered['seen'] = torch.arange(28) < 10
    doubts.draw_importance(run, tmp_path / 'out.png', faces=99)
    assert len(sheet['images']) == 10
    assert max(float(caption.split()[0]) for caption in sheet['captions']) == 0.9
    assert sheet['title'].startswith(
        'importance: the 5 lowest, then the 5 highest of 10 faces (18 were never drawn and are left out)'
    )
    run._remembered['seen'] = torch.arange(28) < 1
    with pytest.raises(
        ValueError, match='the run has drawn 1 of its 28 training faces, and of the others the importance'
    ):
        doubts.draw_importance(run, tmp_path / 'out.png')


def test_unknown_truths_are_grey_and_not_written(inspected, sheet, tmp_path):
    run, _, _, believed = inspected
    del run.dataset.columns['clean_label']
    doubts.draw_relabels(run, tmp_path / 'out.png')
    doubts_shown = int((believed.numpy() != run.dataset.columns['label']).sum())
    assert sheet['colours'] == [GREY] * doubts_shown
    assert not any('clean' in caption for caption in [*sheet['captions'], sheet['title']])
    doubts.draw_importance(run, tmp_path / 'out.png', faces=30)
    assert set(sheet['colours']) == {GREY}
    assert (sheet['columns'], len(sheet['images'])) == (8, 16)  # whole rows of the 14 and 14 that there are


def test_reliability_is_shown_where_a_run_has_no_importance(inspected, sheet, tmp_path):
    run = inspected[0]
    columns = run._remembered['columns']
    columns['reliability'] = columns.pop('importance').flip(0)
    doubts.draw_importance(run, tmp_path / 'out.png', faces=2)
    assert sheet['title'].startswith('reliability: the 1 lowest, then the 1 highest of 28')
    assert sheet['captions'][0].startswith('0.100')


@pytest.mark.parametrize('name', ['relabels', 'importance'])
def test_the_tools_write_a_picture_of_a_real_run(name, scn, capsys, tmp_path):
    out = tmp_path / 'new' / 'sheet.png'
    tool(name)([scn.config, str(scn.checkpoint), '--out', str(out), '--faces', '8', *scn.typed])
    assert f'picture: {out}' in capsys.readouterr().out
    picture = cv2.imread(str(out))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_the_real_run_relabelled_and_wrote_it_down(scn):
    bank = torch.load(scn.checkpoint, weights_only=True)['sample_bank']['columns']
    assert set(bank) == {'relabelled', 'importance'}
    assert ((bank['importance'] > 0) & (bank['importance'] < 1)).all()
    rows = (scn.folder / 'relabels.csv').read_text().splitlines()
    assert len(rows) > 3
    metrics = (scn.folder / 'metrics.json').read_text()
    assert all(
        f'"{name}"' in metrics for name in ('relabelled', 'relabel_mended', 'importance_auc', 'scn.newly_relabelled')
    )


@pytest.mark.parametrize('name', ['relabels', 'importance'])
@pytest.mark.parametrize(('faces', 'message'), [('0', 'must be at least'), (None, 'the run remembers no')])
def test_what_cannot_be_shown_is_said_in_a_sentence(name, faces, message, run, scn, capsys, tmp_path):
    which = (
        [run.config, str(run.checkpoint), *run.options]
        if faces is None
        else [scn.config, str(scn.checkpoint), '--faces', faces, *scn.typed]
    )
    with pytest.raises(SystemExit) as stopped:
        tool(name)([which[0], which[1], '--out', str(tmp_path / 'out.png'), *which[2:]])
    assert stopped.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith('mmfer: error: ')
    assert message in said
    assert not (tmp_path / 'out.png').exists()


def test_a_run_that_has_not_relabelled_says_so(inspected, tmp_path):
    run, observed, _, _ = inspected
    run._remembered['columns']['relabelled'] = observed
    with pytest.raises(ValueError, match='has not relabelled any face: see from which epoch'):
        doubts.draw_relabels(run, tmp_path / 'out.png')
