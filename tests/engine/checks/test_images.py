"""What is looked at before the first step: landmarks that are wrong alike."""

import re
import shlex

import numpy as np
import pytest
from miniature import make_rafdb
from tools.conftest import load_tool

from mmfer.datasets import RAFDB
from mmfer.datasets.landmarks.landmark_file import write_landmarks
from mmfer.engine.checks.images import check_images


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_rafdb('data', per_class=3, size=40, test_per_class=1)
    return tmp_path / 'data'


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr('mmfer.engine.checks.images.print_log', lambda text, **_: texts.append(text))
    return texts


def change(root, new, rows=slice(None)):
    with np.load(root / 'landmarks68.npz') as kept:
        kept = dict(kept)
    kept['points'][rows] = new(kept['points'][rows])
    np.savez(root / 'landmarks68.npz', **kept)


def faces(**settings):
    return RAFDB('data', **(dict(landmarks='landmarks68.npz') | settings))


def upside_down(points):
    return np.stack([points[..., 0], 39 - points[..., 1]], axis=-1)


def test_upright_faces_are_in_order(root, said):
    check_images([faces(), faces(split='test')])
    assert said == []


def test_a_folder_of_x_y_is_refused_and_the_cure_works_as_it_is_typed(root, said):
    with np.load(root / 'landmarks68.npz') as kept:
        names, points = kept['names'], kept['points']
    (root / 'points').mkdir()
    for name, face in zip(names.tolist(), points, strict=True):
        text = '\n'.join(f'{x} {y}' for x, y in face.tolist())  # mmfer reads row, then column
        (root / 'points' / name.replace('.jpg', '.txt')).write_text(text)
    with pytest.raises(ValueError, match='the landmarks of 21 of 21 faces have x and y exchanged') as error:
        check_images([faces(landmarks='points')])
    assert said == []
    cure = r'exchange them with python (.+), and name the new file: landmarks="(.+)"$'
    command, file = re.search(cure, str(error.value)).groups()
    tool, *options = shlex.split(command)
    assert tool == 'tools/dataset_tools/landmarks.py'
    load_tool('dataset_tools/landmarks').main(options)
    mended = faces(landmarks=file)
    check_images([mended])
    np.testing.assert_allclose(mended.columns['landmarks'], faces().columns['landmarks'], atol=1e-4)


def test_nearly_all_faces_upside_down_are_refused_and_some_warned_of(root, said):
    change(root, upside_down, slice(0, 7))
    check_images([faces()])
    assert len(said) == 1
    assert re.match(
        r'RAFDB train: the landmarks of 7 of 21 faces do not stand upright, such as train_00001_aligned\.jpg, .*: find '
        r'these anew \(docs/landmarks\.md\), or give their rows score 0',
        said[0],
    )
    change(root, upside_down, slice(7, 21))
    with pytest.raises(ValueError, match=r'the landmarks of 21 of 21 faces are upside down.*landmarks=None'):
        check_images([faces()])
    check_images([faces(landmarks=None)])


def test_faces_that_are_only_tested_are_warned_of(root, said):
    change(root, upside_down)
    check_images([faces(split='test', test_mode=True)])
    assert len(said) == 1
    assert 'RAFDB test: the landmarks of 7 of 7 faces are upside down' in said[0]


def test_points_of_smaller_pictures_are_warned_of(root, said):
    change(root, lambda points: points / 2)
    check_images([faces()])
    assert said == [
        'RAFDB train: the landmarks of nearly all faces lie in the upper left corner of their image: see that the '
        'landmark file counts in pixels of these images, not of smaller ones'
    ]


def test_the_landmarks_of_a_set_too_large_to_look_at_each_picture_are_looked_at(root, said, monkeypatch):
    monkeypatch.setattr('mmfer.engine.checks.images._MOST_IMAGES', 5)
    change(root, upside_down)
    with pytest.raises(ValueError, match='are upside down'):
        check_images([faces()])


def test_faces_without_landmarks_do_not_count(root, said):
    with np.load(root / 'landmarks68.npz') as kept:
        kept = dict(kept)
    kept['points'][:10] = upside_down(kept['points'][:10])
    kept['score'][:10] = 0
    write_landmarks(str(root / 'landmarks68.npz'), kept['names'].tolist(), kept['points'], kept['score'])
    check_images([faces()])
    assert said == []
