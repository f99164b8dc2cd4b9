"""tools/analysis_tools/attribution.py: what it draws is what the run's own parts compute."""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmfer.apis.analysis.attributions import attribution_maps, choose_faces
from mmfer.apis.analysis.inspection import read_run

ROOT = Path(__file__).parents[2]
CONFIG, PLAIN = (str(ROOT / f'configs/{method}/r18_synthfaces.py') for method in ('pal', 'baseline'))
SMALL = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64,
         'train_dataloader.dataset.num': 21, 'train_dataloader.dataset.cache_dir': None}  # fmt: skip
TYPED = ['--cfg-options', *(f'{key}={value}' for key, value in SMALL.items())]


@pytest.fixture
def made(tmp_path):
    """Checkpoints of PAL and of the plain network, of other weights, as no training is needed to be looked at."""
    paths = {}
    for seed, (name, config) in enumerate(dict(pal=CONFIG, plain=PLAIN).items()):
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(SMALL)
        torch.manual_seed(seed)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            model = MODELS.build({**cfg.model, 'data_preprocessor': cfg.data_preprocessor})
        paths[name] = tmp_path / f'{name}.pth'
        torch.save({'state_dict': model.state_dict()}, paths[name])
    return SimpleNamespace(**paths)


@pytest.fixture
def draw(made, tmp_path, capsys):
    tool = importlib.import_module('mmfer.cli.analyze.attribution')

    def call(*words, config=CONFIG, options=TYPED):
        code = 0
        try:
            tool.main([config, str(made.pal), '--out', str(tmp_path / 'new' / 'seen.png'), *words, *options])
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err, picture=tmp_path / 'new' / 'seen.png')

    return call


def agreements(out):
    return {line.split(':')[0]: float(line.split()[-1]) for line in out.splitlines() if 'agreement' in line}


def test_one_checkpoint_gets_a_row_a_face_and_three_columns(draw):
    three, five = draw('--faces', '3'), draw('--faces', '5')
    assert three.code == five.code == 0
    assert f'picture: {five.picture}' in five.out
    assert list(agreements(five.out)) == ['attribution']
    assert -1 <= agreements(five.out)['attribution'] <= 1
    picture = cv2.imread(str(five.picture))
    assert picture.std() > 20
    draw('--faces', '3')
    fewer = cv2.imread(str(three.picture))
    assert fewer.shape[1] == picture.shape[1]
    assert picture.shape[0] - fewer.shape[0] == pytest.approx(2 * fewer.shape[0] / 3, rel=0.15)


def test_a_second_checkpoint_is_a_column_of_its_own(draw, made):
    one = cv2.imread(str(draw('--faces', '2').picture))
    both = draw('--faces', '2', '--before', str(made.plain))
    assert both.code == 0
    assert cv2.imread(str(both.picture)).shape[1] > 1.2 * one.shape[1]
    values = agreements(both.out)
    assert list(values) == ['before', 'after']
    assert values['before'] != values['after']
    assert values['after'] == agreements(draw('--faces', '2').out)['attribution']  # the run's weights are back
    alike = agreements(draw('--faces', '2', '--before', str(made.pal)).out)
    assert alike['before'] == alike['after'] == values['after']


def test_the_maps_are_the_networks_own(made):
    run = read_run(CONFIG, made.pal, SMALL, device='cpu')
    faces = choose_faces(run, 9)
    seen = attribution_maps(run, faces, batch_size=4)
    fc = run.model.head.fc.weight.detach()
    with torch.no_grad():
        features = torch.cat([run.model.backbone(inputs)[-1] for inputs, _ in run.batches(faces)])
    expected = (fc.sum(0).abs()[None, :, None, None] / 4 * features).mean(1)  # 2 x 2 cells behind average pooling
    torch.testing.assert_close(seen.maps, expected)
    for row in range(9):
        r = np.corrcoef(seen.maps[row].flatten(), seen.prior[row].flatten())[0, 1]
        assert seen.agreement[row].item() == pytest.approx(r, abs=1e-3)
    assert not any(weight.grad is not None for weight in run.model.parameters())


def test_faces_are_those_with_landmarks_and_every_class_in_turn(made):
    run = read_run(CONFIG, made.pal, SMALL, device='cpu')
    labels = run.dataset.get_gt_labels()
    first = choose_faces(run, 7)
    assert len(set(labels[first])) == len(set(labels)) == 7
    assert choose_faces(run, 7, seed=1) != first
    assert sorted(choose_faces(run, 100)) == list(range(21))
    run.dataset.columns['landmark_valid'][first[2]] = False
    assert first[2] not in choose_faces(run, 100)


@pytest.mark.parametrize(('words', 'options', 'sentence'), [
    ((), {'model.supervision.pal': None}, r'the config has no mmfer.GradientActivation .*\(configs/pal\)'),
    (('--faces', '0'), {}, 'the number of faces to show must be at least 1, got 0'),
    (('--before', 'absent.pth'), {}, 'there is no checkpoint absent.pth'),
])  # fmt: skip
def test_mistakes_are_one_sentence(draw, words, options, sentence):
    typed = [*TYPED, *(f'{key}={value}' for key, value in options.items())]
    seen = draw(*words, options=typed)
    assert seen.code == 1
    line = seen.err.strip().splitlines()[-1]
    assert line.startswith('mmfer: error: ')
    assert re.search(sentence, line)


def test_without_landmarks_it_says_where_their_file_is_named(made):
    run = read_run(CONFIG, made.pal, SMALL, device='cpu')
    run.dataset.columns['landmark_valid'][:] = False
    with pytest.raises(ValueError, match=r'no training face has landmarks: name their file in .*dataset.landmarks'):
        choose_faces(run, 3)
