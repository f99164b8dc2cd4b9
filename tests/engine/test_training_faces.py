"""TrainingFacesHook and what a checkpoint makes of it."""

import numpy as np
import pytest

from mmfer.apis.checkpoints.seen_in_training import training_faces
from mmfer.engine.hooks.training_faces import summarise_sizes


def faces_of(sizes):
    return training_faces(dict(meta=dict(training_faces=summarise_sizes(np.array(sizes)))))


def test_faces_of_one_size():
    faces = faces_of([(100, 100)] * 50)
    assert (faces.faces, str(faces)) == (50, '100 x 100')
    assert [
        faces.is_unlike(*size) for size in ((100, 100), (112, 96), (128, 96), (96, 128), (400, 400), (401, 401))
    ] == [
        False,
        False,
        True,
        True,
        False,
        True,
    ]
    assert [faces.is_larger(*size) for size in ((150, 150), (151, 140), (20, 20))] == [False, True, False]


def test_one_odd_picture_among_many_makes_nothing_usual():
    faces = faces_of([(100, 100)] * 499 + [(3000, 300)])
    assert faces.is_unlike(3000, 300)


def test_faces_of_many_sizes():
    faces = faces_of([(40, 50), (60, 60), (200, 220)] * 40)
    assert str(faces) == '40 x 50 to 200 x 220'
    assert not faces.is_unlike(70, 90)
    assert faces.is_unlike(70, 115)


@pytest.mark.parametrize(
    'meta',
    [None, {}, dict(training_faces=3), dict(training_faces=dict(faces=1, width=[0, 1], height=[1, 2], aspect=[1, 1])),
     dict(training_faces=dict(faces=1, width=['a', 1], height=[1, 2], aspect=[1, 1])),
     dict(training_faces=dict(faces=1, width=[1], height=[1, 2], aspect=[1, 1])),
     dict(training_faces=dict(faces=1, width=[1, float('nan')], height=[1, 2], aspect=[1, 1]))],
)  # fmt: skip
def test_what_is_no_summary_says_nothing(meta):
    assert training_faces(dict(meta=meta)) is None
