"""Whatever files and classes are called, every picture can be drawn."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from miniature import face_points

import mmfer.visualization as pictures
from mmfer.visualization.texts import plain

WILD = [
    '$x$ and $\\frac',
    'a$b$.jpg',
    'no UTF-8 \udcff\udc80',
    'control \x07\x1b[31m\t',
    'line\nend',
    '\\$',
    '{}%s$',
    '',
]
"""Names that each would end a drawing, or be drawn as something else."""
FACE = np.full((8, 8, 3), 128, np.uint8)
FACES = [FACE] * len(WILD)
K = len(WILD)
COUNTS = np.arange(K * K).reshape(K, K)


def report():
    epochs = [dict(epoch=1, train={'loss': 1.0, 'loss_$x$_\udcff': 0.5}, accuracy=50.0, mean_class_accuracy=50.0)]
    kept = dict(epoch=1, accuracy=50.0, mean_class_accuracy=50.0, split='test')
    return dict(
        config=WILD[0],
        seed=0,
        epochs=epochs,
        best=kept,
        last=kept,
        last5=dict(kept, epochs=[1]),
        majority_rate=20.0,
        majority_class=WILD[2],
        split='test',
        faces=3,
    )


def seen(name: int):
    return SimpleNamespace(picture=FACE, label=name, clean=-1, row=0, points=None, heatmap=None)


def labelled(name: int):
    return pictures.LabelledFace(FACE, name, (name + 1) % K, WILD[name])


DRAWN: dict[str, Callable[[Path], object]] = {
    'draw_attributions': lambda path: pictures.draw_attributions(
        FACES, WILD, np.ones((K, 2, 2)), {WILD[0]: np.ones((K, 2, 2))}, {WILD[0]: [0.5] * K}, path, WILD[0]
    ),
    'draw_augmented': lambda path: pictures.draw_augmented([seen(i) for i in range(K)], WILD, path, WILD[0]),
    'draw_confusion_matrix': lambda path: pictures.draw_confusion_matrix(COUNTS, WILD, path, WILD[0]),
    'draw_contact_sheet': lambda path: pictures.draw_contact_sheet(FACES, WILD, path, title=WILD[0]),
    'draw_label_histogram': lambda path: pictures.draw_label_histogram(
        {name: dict.fromkeys(WILD, 3) for name in WILD}, path, WILD[0]
    ),
    'draw_label_noise': lambda path: pictures.draw_label_noise(
        {name: COUNTS for name in WILD[:3]}, WILD, path, WILD[0]
    ),
    'draw_landmark_sheet': lambda path: pictures.draw_landmark_sheet(
        FACES, [face_points() * 8] * K, [0.5] * K, WILD, path, WILD[0]
    ),
    'draw_learning_curves': lambda path: pictures.draw_learning_curves(report(), path),
    'draw_neighbours': lambda path: pictures.draw_neighbours(
        [labelled(i) for i in range(K)],
        {WILD[1]: [[labelled(0)]] * K},
        np.full((K, K), 1 / K),
        WILD,
        path,
        WILD[2],
        WILD[0],
    ),
    'draw_predictions': lambda path: pictures.draw_predictions(FACES, WILD, np.eye(K), WILD, path, WILD[0]),
}


def test_every_drawing_is_tried():
    assert DRAWN.keys() == {name for name in pictures.__all__ if name.startswith('draw_')} - {'draw_landmarks'}


@pytest.mark.filterwarnings('ignore:.*layout:UserWarning')
@pytest.mark.parametrize('draw', DRAWN)
def test_no_name_ends_a_drawing(draw, tmp_path):
    path = tmp_path / 'x.png'
    DRAWN[draw](path)
    assert cv2.imread(str(path)) is not None


def test_a_name_is_drawn_to_the_letter():
    assert plain('a$b$.jpg') == r'a\$b\$.jpg'
    assert plain('é 笑\n\udcff\x1b[1m\t\u202e') == 'é 笑\n\\udcff\\x1b[1m \\u202e'
