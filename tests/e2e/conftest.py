"""A clone in small: every path that the configs name is there, so that commands run as they are typed."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from miniature import make_rafdb
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/[!_]*/*.py'))
TRAIN_FACES, TEST_FACES = 16, 9

NARROW = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
"""A ResNet-18 with an eighth of its channels."""


def options(values: dict) -> list[str]:
    """`--cfg-options` by key."""
    return ['--cfg-options', *(f'{key}={value}' for key, value in values.items())]


def shrink(cfg: Config) -> dict:
    """Options that leave a config's method and network as they are, and make data, pictures and memories tiny.

    Two iterations of eight faces.
    """
    small = {'train_cfg.max_epochs': 1, 'data_preprocessor.size': 32}
    for split in ('train', 'val'):
        loader = f'{split}_dataloader'
        small |= {f'{loader}.batch_size': 8, f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
        kind = cfg[loader].dataset.type
        if kind == 'mmfer.SyntheticFaces':
            small |= {f'{loader}.dataset.num': TRAIN_FACES if split == 'train' else TEST_FACES}
        else:
            assert kind == 'mmfer.RAFDB', f'{cfg.filename}: teach the fixture `clone` to write a miniature {kind}'
            small |= {f'{loader}.dataset.pipeline.0.size': 32}
    small |= {f'model.supervision.{place}': 16 for place in places(cfg.model.get('supervision') or {}, 'queue_size')}
    return small


def places(cfg: dict, key: str) -> Iterable[str]:
    """Dotted paths of a key in nested dicts."""
    for name, value in cfg.items():
        if name == key:
            yield name
        elif isinstance(value, dict):
            yield from (f'{name}.{place}' for place in places(value, key))


@pytest.fixture(scope='session')
def _clone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('clone')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    make_rafdb(folder / 'data' / 'raf-db', per_class=[4, *[2] * 6], size=32, test_per_class=[3, *[1] * 6])
    (folder / 'pretrained').mkdir()
    return folder


@pytest.fixture
def clone(_clone, monkeypatch) -> Path:
    """The current folder: configs, data/raf-db (16 + 9 faces of 32 px) and an empty pretrained; for reading only."""
    monkeypatch.chdir(_clone)
    return _clone


@pytest.fixture(scope='session')
def train_tool():
    """tools/train.py as a module."""
    spec = importlib.util.spec_from_file_location('tool_train', ROOT / 'tools' / 'train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def weights(clone):
    """Writes the face-pretrained weights that a config names: torchvision's layout, random values."""
    def write(name: str | None) -> None:
        if name and not Path(name).exists():
            from torchvision.models import get_model

            torch.save(get_model(Path(name).stem.split('_')[0]).state_dict(), name)

    return write
