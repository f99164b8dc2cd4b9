"""Landmarks that are wrong alike in a whole set: turned, mirrored, exchanged, or in another order."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from miniature import face_points

from mmfer.datasets.landmarks.landmark_file import read_landmarks
from mmfer.datasets.landmarks.posture import READINGS, exchange_command, fault_of, posture, posture_sentence, readings
from mmfer.datasets.synthetic_faces.dataset import draw_columns
from mmfer.structures.dotted_faces import frontal_face
from mmfer.structures.landmark_sets import MIRROR_68

SIZE = 100
REAL = [
    Path(__file__).parents[3] / 'data/raf-db/landmarks68.npz',
    Path(__file__).parents[3] / 'data/ferplus/landmarks68.npz',
]


def faces(count: int = 40, seed: int = 0) -> np.ndarray:
    """Faces with expressions, a little tilted and noisy."""
    random = np.random.default_rng(seed)
    points = []
    for _ in range(count):
        face = face_points(random.uniform(0.1, 1), random.uniform(-1, 1), random.uniform(-1, 1)) - 0.5
        points.append(rolled(face + random.normal(0, 0.002, face.shape), random.uniform(-20, 20)) * SIZE + SIZE / 2)
    return np.array(points, np.float32)


def rolled(points: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def reordered(*order: range) -> list[int]:
    order = [i for part in order for i in part]
    assert sorted(order) == list(range(68))
    return order


TURNS = [
    (lambda p: p, 'stand upright'),
    (lambda p: np.stack([p[..., 0], SIZE - 1 - p[..., 1]], -1), 'are upside down'),
    (lambda p: np.stack([SIZE - 1 - p[..., 0], p[..., 1]], -1), 'are mirrored, left and right exchanged'),
    (lambda p: p[:, list(MIRROR_68)], 'are mirrored, left and right exchanged'),
    (lambda p: SIZE - 1 - p, 'are turned by half a turn'),
    (lambda p: p[..., ::-1], 'have x and y exchanged'),
    (lambda p: rolled(p, 90), 'are turned by a quarter'),
    (lambda p: rolled(p, -90), 'are turned by a quarter'),
    (lambda p: -p[..., ::-1], 'have x and y exchanged, both counted backwards'),
    (lambda p: p[:, np.random.default_rng(3).permutation(68)], 'are no face in the order of iBUG 300-W'),
    (lambda p: np.stack([p[..., 0], p[..., 1]], 1).reshape(-1, 68, 2), 'are no face in the order of iBUG 300-W'),
    (lambda p: p[:, ::-1], 'are no face in the order of iBUG 300-W'),
    (lambda p: np.full_like(p, 7), 'are no face in the order of iBUG 300-W'),
]


@pytest.mark.parametrize(('turn', 'reading'), TURNS)
def test_how_faces_lie(turn, reading):
    points = turn(faces())
    assert {READINGS[i] for i in readings(points)} == {reading}
    found = posture(points)
    assert found.fault == (None if reading == READINGS[0] else reading)
    assert found.odd.tolist() == [reading != READINGS[0]] * len(points)


ORDERS = [
    (reordered(range(17), range(22, 27), range(17, 22), range(27, 68)), '(17 to 21 must lie left of 22 to 26)'),
    (reordered(range(36), range(42, 48), range(36, 42), range(48, 68)), '(36 to 41 must lie left of 42 to 47)'),
    (reordered(range(36), range(39, 42), range(36, 39), range(42, 68)), '(36 must lie left of 39)'),
    (reordered(range(1, 68), range(1)), '(22 must lie left of 26)'),  # counted from 1
    (reordered(range(67, 68), range(67)), '(17 must lie left of 21)'),
    (reordered(range(16, -1, -1), range(17, 68)), 'face'),
    (reordered(range(48), range(54, 60), range(48, 54), range(60, 68)), 'face'),
    (reordered(range(48, 68), range(48)), 'face'),
]


@pytest.mark.parametrize(('order', 'pair'), ORDERS)
def test_another_order_of_68_points(order, pair):
    why = 'are no face in the order of iBUG 300-W' if pair == 'face' else f'are not in the order of iBUG 300-W {pair}'
    assert posture(faces()[:, order]).fault == why


def test_a_few_odd_faces_are_no_fault():
    points = faces(100)
    points[[3, 50, 70]] = points[[3, 50, 70], :, ::-1]
    found = posture(points)
    assert np.flatnonzero(found.odd).tolist() == [3, 50, 70]
    assert found.fault is None
    points[:89] = points[:89, :, ::-1]  # the three are upright again
    assert posture(points).fault is None
    points[89:92] = points[89:92, :, ::-1]
    points[[3, 50, 70]] = points[[3, 50, 70], :, ::-1]
    assert posture(points).fault == 'have x and y exchanged'


@pytest.mark.parametrize('degrees', [-40, -20, 0, 20, 40])
def test_heads_may_be_tilted(degrees):
    upright = faces(1)[0] * 0 + face_points(0.5) * SIZE
    assert readings(rolled(upright[None], degrees)) == [0]


def test_few_faces_are_no_fault():
    lying = rolled(faces(4), 90)
    assert posture(lying).fault is None
    assert posture(lying).odd.all()
    assert posture(rolled(faces(5), 90)).fault
    assert posture(np.zeros((0, 68, 2))) == (pytest.approx(np.zeros(0, bool)), None)


@pytest.mark.parametrize(('count', 'refused'), [(7, False), (8, True)])
def test_one_statement_alone_needs_some_more_faces(count, refused):
    points = faces(count)
    points[:, [59, 55]] = points[:, [55, 59]]
    assert (posture(points).fault is not None) == refused


def test_more_faces_than_are_looked_at_at_once(monkeypatch):
    monkeypatch.setattr('mmfer.datasets.landmarks.posture._AT_ONCE', 7)
    points = faces(40)
    points[33] = points[33, :, ::-1]
    assert np.flatnonzero(posture(points).odd).tolist() == [33]


def test_drawn_faces_stand_upright():
    grid = np.array([face_points(*values) for values in itertools.product((0, 0.5, 1), (-1, 0, 1), (-1, 0, 1))])
    _, columns = draw_columns(
        'train', num=60, size=64, seed=1, imbalance=0.0, blend=0.3, difficulty=1.0, faces_per_person=1
    )
    for points in (grid, columns['landmarks'], np.repeat(frontal_face().numpy()[None], 5, 0)):
        assert not posture(points).odd.any()


@pytest.mark.parametrize('path', REAL, ids=lambda path: path.parent.name)
def test_real_faces_stand_upright(path):
    if not path.exists():
        pytest.skip(f'{path} is not here')
    faces = read_landmarks(str(path))
    points = faces.points[(faces.score > 0) & np.isfinite(faces.points).all((1, 2))]
    found = posture(points)
    assert found.fault is None
    assert found.odd.mean() < 0.01
    for turn, reading in TURNS[1:3] + TURNS[4:9]:
        assert posture(turn(points)).fault == reading


def test_the_sentence():
    names = [f'{i}.jpg' for i in range(10)]
    found = posture(faces(10)[..., ::-1])
    assert posture_sentence(found, names, 'RAFDB train', exchange_command('data/raf-db/land marks/')) == (
        'RAFDB train: the landmarks of 10 of 10 faces have x and y exchanged, such as 0.jpg, 1.jpg, 2.jpg, ...; brows '
        'must lie above eyes, eyes above the mouth, and point 36 left of point 45: exchange them with '
        "python tools/dataset_tools/landmarks.py --import 'data/raf-db/land marks' 'data/raf-db/land marks_xy.npz' "
        '--swap-xy, and name the new file: landmarks="land marks_xy.npz"'
    )
    down = TURNS[1][0](faces(10))
    score = np.ones(10)
    score[[0, 2]] = 0
    down[1] = np.nan
    assert fault_of(np.array(names), down, score, 'x.csv', '') == (
        'x.csv: the landmarks of 7 of 7 faces are upside down, such as 3.jpg, 4.jpg, 5.jpg, ...; brows must lie above '
        'eyes, eyes above the mouth, and point 36 left of point 45: find them anew (docs/landmarks.md), or train '
        'without them: landmarks=None'
    )
    assert fault_of(np.array(names), faces(10), score, 'x.csv', '') is None
    assert fault_of(np.array(names), faces(10)[:, ::-1], score, 'x.csv', '', turned_only=True) is None
    assert exchange_command('~x/l.csv', 'data').startswith('exchange them with python tools/')
    assert exchange_command(None, 'data') == 'find them anew (docs/landmarks.md), or train without them: landmarks=None'
