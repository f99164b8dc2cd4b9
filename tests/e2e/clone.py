"""A clone in small: every path that the configs name is there, so that commands run as they are typed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from miniature import make_rafdb
from mmengine.config import Config
from mmengine.registry import MODELS

ROOT = Path(__file__).parents[2]
ALL = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/[!_]*/*.py'))
AUTOENCODERS = [config for config in ALL if Path(config).name.startswith('autoencoder_')]
CONFIGS = [config for config in ALL if config not in AUTOENCODERS]
TRAIN_FACES, TEST_FACES = 16, 9

NARROW = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
"""A ResNet-18 with an eighth of its channels."""


def make_clone(folder: Path) -> Path:
    """Lays out configs, data/raf-db (16 + 9 faces of 32 px) and an empty pretrained."""
    (folder / 'configs').symlink_to(ROOT / 'configs')
    (folder / 'pretrained').mkdir()
    make_rafdb(folder / 'data' / 'raf-db', per_class=[4, *[2] * 6], size=32, test_per_class=[3, *[1] * 6])
    return folder


def tiny(config: str, faces: int = TRAIN_FACES) -> dict[str, object]:
    """Options that make a config's data, pictures and queues tiny, and leave its network and method as they are.

    One epoch of batches of eight faces; `faces` counts for drawn ones only.
    """
    cfg = Config.fromfile(ROOT / config)
    small: dict[str, object] = {'train_cfg.max_epochs': 1, 'data_preprocessor.size': 32}
    for split, number in (('train', faces), ('val', TEST_FACES)):
        loader = f'{split}_dataloader'
        small |= {f'{loader}.batch_size': 8, f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
        kind = cfg[loader].dataset.type
        if kind == 'mmfer.SyntheticFaces':
            small |= {f'{loader}.dataset.num': number, f'{loader}.dataset.size': 32}
        else:
            assert kind == 'mmfer.RAFDB', f'{config}: teach make_clone() to write a miniature {kind}'
            small |= {f'{loader}.dataset.pipeline.0.size': 32}
    supervision, neck = cfg.model.get('supervision') or {}, cfg.model.get('neck') or {}
    if 'pal' in supervision:
        small['data_preprocessor.size'] = 64  # it compares the cells of a map, of which 32 px leave one
    if neck.get('type') == 'mmfer.ARM':  # likewise
        width = MODELS.build({**neck, 'map_size': 2}).out_channels
        small |= {'data_preprocessor.size': 64, 'model.neck.map_size': 2, 'model.head.in_channels': width}
    small |= {f'model.supervision.{place}': 20 for place in places(supervision, 'queue_size')}
    # A hinge that eight faces of an untrained network happen to satisfy would be a loss of 0.
    small |= {f'model.supervision.{place}': .99 for place in places(supervision, 'margin')}
    # Weights of networks that are trained before the classifier.
    return small | {f'model.supervision.{place}': None for place in places(supervision, 'checkpoint')}


def options(values: Mapping[str, object]) -> list[str]:
    """`--cfg-options` by key."""
    return ['--cfg-options', *(f'{key}={value}' for key, value in values.items())]


def places(cfg: Mapping, key: str) -> Iterator[str]:
    """Dotted paths of a key in nested dicts."""
    for name, value in cfg.items():
        if name == key:
            yield name
        elif isinstance(value, Mapping):
            yield from (f'{name}.{place}' for place in places(value, key))
