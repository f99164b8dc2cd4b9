"""Class orders that meet in a run: mapped by name where the config says so, refused otherwise."""

import re
import shlex
from argparse import ArgumentParser
from types import SimpleNamespace

import pytest
import torch
from layouts import LAYOUTS
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from mmengine.registry import DATASETS

from mmfer.apis import read_config, train
from mmfer.apis.config import KeyValue
from mmfer.datasets import SyntheticFaces
from mmfer.datasets.labels.schema import ORDERS, check_same_order, is_same_order, order_name
from mmfer.engine.checks.classes import check_dataset_classes, check_loaded_classes

CONFIG = 'configs/baseline/r18_synthfaces.py'
AFFECTNET = ORDERS['affectnet7']


def faces(classes=None, **settings):
    metainfo = None if classes is None else dict(classes=classes)
    return SyntheticFaces(num=7, size=16, cache_dir=None, metainfo=metainfo, **settings)


def test_orders_are_compared_by_what_names_mean():
    assert is_same_order(('Happy', 'SAD'), ['happiness', 'sadness'])
    assert not is_same_order(('sad', 'happy'), ['happiness', 'sadness'])
    assert not is_same_order(('happy',), ['happiness', 'sadness'])
    assert order_name(['Surprised', 'fear', 'disgust', 'happy', 'sad', 'angry', 'neutral']) == 'rafdb'
    assert order_name(['my class', 'other']) == 'my_class,other'


@pytest.mark.parametrize(
    ('dataset', 'key'),
    [
        (lambda: faces('affectnet7'), 'val_dataloader.dataset'),
        (lambda: RepeatDataset(faces('affectnet7'), 2), 'val_dataloader.dataset'),
        (lambda: SimpleNamespace(datasets=[faces(), faces('affectnet7')]), 'val_dataloader.dataset.datasets.1'),
    ],
    ids=['one', 'wrapped', 'several'],
)
def test_another_order_is_refused_wherever_it_is(dataset, key):
    sentence = (
        f'{key} counts the classes neutral, happiness, sadness, surprise, fear, disgust, anger, training surprise, '
        'fear, disgust, happiness, sadness, anger, neutral: let it map classes by name: --cfg-options '
        f'{key}.metainfo.classes=rafdb'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(sentence)}$'):
        check_dataset_classes(dataset(), ORDERS['rafdb'], 'val_dataloader.dataset')


def test_the_same_order_passes_and_so_do_data_without_names():
    check_dataset_classes(RepeatDataset(faces(), 2), ORDERS['rafdb'], 'x')
    check_dataset_classes(faces(), None, 'x')
    check_dataset_classes(SimpleNamespace(), ORDERS['rafdb'], 'x')


def test_classes_of_ones_own_are_named_in_full():
    with pytest.raises(ValueError, match='--cfg-options x.metainfo.classes=very_happy,sad$'):
        check_same_order(['very happy', 'sad'], ['sad', 'very happy'], 'x')


@pytest.mark.parametrize(
    ('before', 'resume', 'passes'),
    [
        (ORDERS['rafdb'], True, True),
        (ORDERS['rafdb'], False, True),
        (AFFECTNET, False, False),
        (AFFECTNET, True, False),
        (('a', 'b'), False, True),  # weights of another task are a start
        (('a', 'b'), True, False),
        (None, True, True),
    ],
)
def test_weights_do_not_count_their_classes_in_another_order(before, resume, passes):
    runner = SimpleNamespace(_resume=resume, train_dataloader=SimpleNamespace(dataset=faces()))
    checkpoint = dict(meta=dict(dataset_meta=dict(classes=before)))
    if passes:
        check_loaded_classes(runner, checkpoint)
        return
    with pytest.raises(ValueError, match='train_dataloader.dataset counts the classes surprise, .* training '):
        check_loaded_classes(runner, checkpoint)


def test_a_run_that_starts_from_a_checkpoint_is_checked(tmp_path, monkeypatch):
    """By the hook of the protocol, which every config has."""
    small = {
        f'{split}_dataloader.dataset.{key}': value
        for split in ('train', 'val')
        for key, value in dict(cache_dir=None, size=16, num=16).items()
    }
    small |= {'train_dataloader.batch_size': 8, 'data_preprocessor.size': 32, 'model.backbone.base_channels': 8}
    small |= {'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
    torch.save(dict(state_dict={}, meta=dict(dataset_meta=dict(classes=AFFECTNET))), tmp_path / 'start.pth')
    options = small | {'load_from': str(tmp_path / 'start.pth')}
    with pytest.raises(ValueError, match='train_dataloader.dataset counts the classes surprise'):
        train(read_config(CONFIG, options, tmp_path / 'run'))


def test_the_cure_for_more_classes_than_were_trained_works_as_typed(tmp_path):
    """FER+ has contempt, which RAF-DB lacks."""
    LAYOUTS['FERPlus'](tmp_path, faces=3)
    settings = dict(type='mmfer.FERPlus', data_root=str(tmp_path), split='test')
    cfg = Config(dict(test_dataloader=dict(dataset=settings)))
    with pytest.raises(ValueError, match='counts the classes') as caught:
        check_dataset_classes(DATASETS.build(settings), ORDERS['rafdb'], 'test_dataloader.dataset')
    cure = shlex.split(str(caught.value).partition('let it map classes by name: ')[2])
    assert cure[1:] == [
        'test_dataloader.dataset.metainfo.classes=rafdb',
        'test_dataloader.dataset.drop_classes=[contempt]',
    ]
    parser = ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue)
    cfg.merge_from_dict(parser.parse_args(cure).cfg_options)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    check_dataset_classes(dataset, ORDERS['rafdb'], 'test_dataloader.dataset')
    assert dataset.get_gt_labels()[:3].tolist() == [6, 3, 0]  # neutral, happiness, surprise


def test_the_cure_for_fewer_classes_works_too(tmp_path):
    check_dataset_classes(faces('affectnet8'), ORDERS['affectnet8'], 'x')
    with pytest.raises(ValueError, match='--cfg-options x.metainfo.classes=affectnet8$'):
        check_dataset_classes(faces(), ORDERS['affectnet8'], 'x')
