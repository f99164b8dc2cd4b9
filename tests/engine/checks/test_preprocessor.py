"""What another data preprocessor than mmfer's does to landmarks."""

import re
from types import SimpleNamespace

import pytest
from mmengine.registry import MODELS, DefaultScope

from mmfer.engine.checks.preprocessor import check_preprocessor
from mmfer.models import FaceDataPreprocessor

MIXES = dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)])


def check(preprocessor, needs='supervision.pal.losses.attribution'):
    model = SimpleNamespace(data_preprocessor=preprocessor, supervision=SimpleNamespace(needs_landmarks=needs))
    check_preprocessor(SimpleNamespace(model=model))


def stock(**settings):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(type='ClsDataPreprocessor', num_classes=7, **settings))


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr('mmfer.engine.checks.preprocessor.print_log', lambda text, **_: texts.append(text))
    return texts


def test_images_are_not_mixed_where_there_are_landmarks(said):
    sentence = (
        'model.train_cfg mixes images (Mixup, CutMix), and the landmarks that supervision.pal.losses.attribution needs '
        'stay as they were: leave it out with model.train_cfg=None'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(sentence)}$'):
        check(stock(batch_augments=MIXES))
    check(stock(batch_augments=MIXES), needs=None)
    assert not said


def test_preprocessors_that_keep_pictures_and_landmarks_together(said):
    check(stock(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True, pad_size_divisor=32))
    check(Larger(size=64, moves=True))
    check(FaceDataPreprocessor(size=64))
    assert not said


class Larger(FaceDataPreprocessor):
    """Somebody's own, which shows the middle of a face."""

    def __init__(self, moves, **settings):
        super().__init__(**settings)
        self.moves = moves

    def forward(self, data, training=False):
        data = super().forward(data, training)
        data['inputs'] = data['inputs'][..., 6:-6, 6:-6]
        if self.moves:
            data['data_samples'].landmarks = data['data_samples'].landmarks - 6
        return data


class Rolled(FaceDataPreprocessor):
    def forward(self, data, training=False):
        data = super().forward(data, training)
        return {**data, 'inputs': data['inputs'].roll(1, 0)}


class Failing(FaceDataPreprocessor):
    def forward(self, data, training=False):
        raise RuntimeError('no')


def test_a_preprocessor_of_ones_own_is_measured(said):
    why = 'and supervision.pal.losses.attribution needs landmarks; take mmfer.FaceDataPreprocessor as data_preprocessor'
    with pytest.raises(ValueError, match=f'data_preprocessor: Larger moves picture and landmarks apart, {why}'):
        check(Larger(size=64, moves=False))
    with pytest.raises(ValueError, match='data_preprocessor: Rolled mixes pictures or cuts them up'):
        check(Rolled(size=64))
    check(Larger(size=64, moves=False), needs=None)
    assert not said
    check(Failing(size=64))
    why = 'could not be measured (RuntimeError: no)'
    assert said == [f'data_preprocessor: whether Failing moves landmarks as it moves pictures {why}']
    check_preprocessor(SimpleNamespace(model=SimpleNamespace(data_preprocessor=stock(batch_augments=MIXES))))
