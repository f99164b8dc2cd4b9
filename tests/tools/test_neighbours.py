"""tools/analysis_tools/neighbours.py: the neighbours are those that label estimation would find in the whole set."""

import importlib
from argparse import ArgumentParser

import cv2
import numpy as np
import pytest
import torch

from mmfer.apis import export_deployed
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.analysis.neighbours import choose_faces, find_neighbours
from mmfer.apis.config import KeyValue


def typed(words: list[str]) -> dict:
    """`--cfg-options` as a tool reads them."""
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    return parser.parse_args(words).cfg_options


@pytest.fixture
def tool():
    """tools/analysis_tools/neighbours.py as a module."""
    return importlib.import_module('mmfer.cli.analyze.neighbours')


@pytest.fixture
def trained(run):
    return read_run(run.config, run.checkpoint, typed(run.options), device='cpu')


def embeddings_of_a_training_step(trained) -> dict[str, np.ndarray]:
    """What label estimation itself gets for all faces, in one step without augmentation, and the logits."""
    model, (data,) = trained.model, trained.batches(range(len(trained.dataset)), batch_size=999)
    model.supervision.bank.allocate(torch.as_tensor(trained.dataset.get_gt_labels()), 7)
    lde = model.supervision.methods['lanet']['refiners']['lde']
    seen = {'logits': model(data[0]).numpy(force=True)}
    for space, score in (('expression', lde.expression_score), ('landmark', lde.landmark_score)):
        score.register_forward_pre_hook(lambda _, args, space=space: seen.update({space: args[0].numpy(force=True)}))
    with torch.no_grad():
        model.loss(*data)
    return seen


def nearest(features: np.ndarray, face: int, count: int) -> list[int]:
    """By cosine, one pair at a time."""
    cosine = {
        other: features[face] @ features[other] / np.linalg.norm(features[face]) / np.linalg.norm(features[other])
        for other in range(len(features))
        if other != face
    }
    return sorted(cosine, key=lambda other: -cosine[other])[:count]


def test_neighbours_are_the_nearest_in_the_spaces_of_label_estimation(trained):
    steps = []
    found = find_neighbours(
        trained, [9, 0, 27], count=4, batch_size=8, track=lambda batches, total: steps.append(total) or batches
    )
    assert steps == [4]  # 28 faces
    assert found.faces.tolist() == [9, 0, 27]
    expected = embeddings_of_a_training_step(trained)
    for space in ('expression', 'landmark'):
        assert found.spaces[space].tolist() == [nearest(expected[space], face, 4) for face in (9, 0, 27)]
    assert found.spaces['expression'].tolist() != found.spaces['landmark'].tolist()


def test_agreement_is_the_share_of_neighbours_of_the_same_class(run):
    noise = {'train_dataloader.dataset.label_noise': dict(kind='symmetric', rate=0.5, seed=0)}
    noisy = read_run(run.config, run.checkpoint, typed(run.options) | noise, device='cpu')
    noisy._remembered = None  # that of the clean labels
    found = find_neighbours(noisy, [0], count=3)
    features, clean = embeddings_of_a_training_step(noisy), noisy.dataset.columns['clean_label']
    assert (clean != noisy.dataset.get_gt_labels()).sum() > 5
    for space in ('expression', 'landmark'):
        same = [clean[other] == clean[face] for face in range(28) for other in nearest(features[space], face, 3)]
        assert found.agreement[space] == pytest.approx(np.mean(same))
    assert found.chance == pytest.approx(1 / 7)


def test_faces_whose_clean_label_is_unknown_are_left_out_of_the_agreement(run):
    noise = {'train_dataloader.dataset.label_noise': dict(kind='symmetric', rate=0.5, seed=0)}
    noisy = read_run(run.config, run.checkpoint, typed(run.options) | noise, device='cpu')
    noisy._remembered = None
    clean = noisy.dataset.columns['clean_label']
    clean[::3] = -1
    found = find_neighbours(noisy, [0], count=3)
    features = embeddings_of_a_training_step(noisy)
    for space in ('expression', 'landmark'):
        pairs = [(face, other) for face in range(28) for other in nearest(features[space], face, 3)]
        same = [clean[other] == clean[face] for face, other in pairs if clean[face] >= 0 and clean[other] >= 0]
        assert 20 < len(same) < 70
        assert found.agreement[space] == pytest.approx(np.mean(same))
    counts = np.bincount(clean[clean >= 0])
    assert found.chance == pytest.approx(((counts / counts.sum()) ** 2).sum())


def test_the_distribution_is_what_the_bank_remembers(trained, run):
    columns = torch.load(run.checkpoint, weights_only=True)['sample_bank']['columns']
    found = find_neighbours(trained, [9, 0], count=1)
    assert found.remembered.all()
    np.testing.assert_array_equal(found.distribution, columns['label_distribution'][[9, 0]].numpy())
    assert not np.array_equal(found.distribution, np.eye(7)[trained.dataset.get_gt_labels()[[9, 0]]])  # has moved


def test_of_a_face_that_was_never_drawn_the_prediction_is_shown_and_said(trained, tool, monkeypatch, tmp_path):
    predicted, _ = found_without_memory(trained, [9, 0])
    seen = torch.ones(28, dtype=torch.bool)
    seen[9] = False
    monkeypatch.setitem(trained._remembered, 'seen', seen)
    found = find_neighbours(trained, [9, 0], count=1)
    assert found.remembered.tolist() == [False, True]
    np.testing.assert_allclose(found.distribution[0], predicted, atol=1e-6)
    np.testing.assert_array_equal(found.distribution[1], trained.bank['label_distribution'][0].numpy())
    drawn = []
    monkeypatch.setattr(tool, 'draw_neighbours', lambda faces, *rest: drawn.extend(face.name for face in faces))
    tool.draw(trained, found, tmp_path / 'x.png', 'title')
    assert drawn == ['#9 never drawn: its prediction', '#0']


def found_without_memory(run, faces) -> np.ndarray:
    remembered, run._remembered = run._remembered, None
    try:
        return find_neighbours(run, faces, count=1).distribution
    finally:
        run._remembered = remembered


def test_neighbours_may_be_sought_among_some_faces_only(trained):
    found = find_neighbours(trained, [9, 3], count=5, among=[3, 4, 20])
    for rows in found.spaces.values():
        assert sorted(rows[0].tolist()) == [3, 4, 20]
        assert sorted(rows[1].tolist()) == [4, 9, 20]


def test_without_supervision_there_are_expression_neighbours_and_predictions(run, tmp_path, trained):
    export_deployed(run.checkpoint, tmp_path / 'exported.pth')
    options = {key: value for key, value in typed(run.options).items() if 'queue_size' not in key}
    plain = read_run(run.config, tmp_path / 'exported.pth', options | {'model.supervision': None}, device='cpu')
    found = find_neighbours(plain, [9, 0, 27], count=4)
    assert list(found.spaces) == ['expression']
    assert (
        found.spaces['expression'].tolist()
        == find_neighbours(trained, [9, 0, 27], count=4).spaces['expression'].tolist()
    )
    assert not found.remembered.any()
    odds = np.exp(embeddings_of_a_training_step(trained)['logits'][[9, 0, 27]])
    np.testing.assert_allclose(found.distribution, odds / odds.sum(1, keepdims=True), rtol=1e-4)


def test_faces_are_drawn_by_seed(trained):
    assert choose_faces(trained, 5, seed=1) == choose_faces(trained, 5, seed=1) != choose_faces(trained, 5, seed=2)
    assert choose_faces(trained, 99) == list(range(28))
    assert len(set(choose_faces(trained, 20))) == 20


def test_the_tool_draws_a_row_a_face(run, tool, tmp_path, capsys):
    heights = []
    for words in (['--faces', '2'], ['--indices', '4', '7', '9', '11', '--neighbours', '3']):
        tool.main([run.config, str(run.checkpoint), '--out', str(tmp_path / 'n.png'), *words, *run.options])
        said = capsys.readouterr().out
        assert f'picture: {tmp_path / "n.png"}' in said
        assert '; 14 % of faces drawn at random' in said
        heights.append(cv2.imread(str(tmp_path / 'n.png')).shape[0])
    assert heights[1] - heights[0] == pytest.approx(2 * 1.36 * 110, abs=3)


@pytest.mark.parametrize(
    ('words', 'says'),
    [
        (['--indices', '28'], 'there is no face 28: the training set has 28, numbered from 0'),
        (['--indices', '-1'], 'there is no face -1'),
        (['--faces', '0'], 'must be at least 1, got 0'),
        (['--neighbours', '0'], 'at least 1 neighbour, got 0'),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else '',
)
def test_what_cannot_be_drawn_ends_in_one_sentence(run, tool, words, says, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        tool.main([run.config, str(run.checkpoint), '--out', str(tmp_path / 'n.png'), *words, *run.options])
    assert stopped.value.code == 1
    (printed,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('mmfer: error: '))
    assert says in printed
