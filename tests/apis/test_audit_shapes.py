"""Shapes of faces find wrong labels without a network."""

import numpy as np
import pytest

from mmfer.apis.audit.evidence import Evidence
from mmfer.apis.audit.shapes import shape_doubts
from mmfer.apis.audit.verdict import detection, judge
from mmfer.datasets import SyntheticFaces

PIPELINE = [dict(type='mmfer.LoadFace', size=64), dict(type='mmfer.PackFace')]


@pytest.fixture(scope='module')
def faces(tmp_path_factory):
    noise = dict(kind='symmetric', rate=0.3, seed=0)
    return SyntheticFaces(split='train', num=400, size=64, label_noise=noise, pipeline=PIPELINE)


def folds(faces):
    return np.arange(len(faces)) % 4


def test_shapes_know_which_labels_are_wrong(faces):
    wrong = faces.get_clean_labels() != faces.get_gt_labels()
    doubts = shape_doubts(faces, folds(faces))
    assert doubts.shape == (400,)
    assert (np.abs(doubts) <= 1).all()
    assert detection(doubts, wrong)['auroc'] > 80


def test_a_face_without_landmarks_is_not_judged(faces):
    columns = dict(faces.columns)
    valid = columns['landmark_valid'].copy()
    valid[[3, 7]] = False
    columns['landmark_valid'], columns['landmarks'] = valid, columns['landmarks'].copy()
    columns['landmarks'][5] = 20  # all in one place, which has no shape

    class Some:
        metainfo = faces.metainfo

        def __init__(self, columns):
            self.columns = columns

        def get_gt_labels(self):
            return faces.get_gt_labels()

    assert np.flatnonzero(np.isnan(shape_doubts(Some(columns), folds(faces)))).tolist() == [3, 5, 7]
    assert shape_doubts(Some(dict(columns, landmark_valid=valid & False)), folds(faces)) is None
    assert shape_doubts(Some({'name': columns['name']}), folds(faces)) is None


def test_they_are_a_third_of_the_combination(faces):
    draw = np.random.default_rng(0)
    probs = draw.dirichlet(np.ones(7), size=400).astype(np.float32)
    verdict = judge(faces, Evidence(probs, probs, folds(faces), None))
    assert list(verdict.doubts) == ['self_confidence', 'seen_confidence', 'class_adjusted', 'shape', 'combined']
    wrong = faces.get_clean_labels() != faces.get_gt_labels()
    blind, whole = (detection(verdict.doubts[name], wrong)['auroc'] for name in ('self_confidence', 'combined'))
    assert blind < 60 < whole  # what the network says is drawn at random here
