"""A clone in small: every path that the configs name is there, so that commands run as they are typed."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from layouts import LAYOUTS
from miniature import face_points, make_rafdb
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS

from mmfer.datasets.landmarks.landmark_file import write_landmarks

ROOT = Path(__file__).parents[2]
ALL = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('configs/[!_]*/*.py'))
AUTOENCODERS = [config for config in ALL if Path(config).name.startswith('autoencoder_')]
PEOPLE = 'configs/baseline/r18_synthfaces_people.py'
DISTILLED = 'configs/distillation/r18_ferplus.py'
CONFIGS = [config for config in ALL if config not in (*AUTOENCODERS, PEOPLE, DISTILLED)]
"""What trains a classifier of expressions."""
TRAIN_FACES, TEST_FACES = 16, 9
FOLDERS = {
    'RAFDBCompound': 'raf-db',
    'AffectNet': 'affectnet',
    'FER2013': 'fer2013',
    'FERPlus': 'ferplus',
    'SFEW': 'sfew',
    'ExpW': 'expw',
    'CAERS': 'caer-s',
    'FolderFaces': 'folder',
}
"""Where the configs look for data, besides data/raf-db."""

NARROW = {'model.backbone.base_channels': 8, 'model.backbone.stem_channels': 8, 'model.head.in_channels': 64}
"""A ResNet-18 with an eighth of its channels."""


def make_clone(folder: Path) -> Path:
    """Lays out configs, an empty pretrained, and data: RAF-DB with 16 + 9 faces of 32 px, the others with some more."""
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'pretrained').mkdir()
    make_rafdb(folder / 'data' / 'raf-db', per_class=[4, *[2] * 6], size=32, test_per_class=[3, *[1] * 6])
    for kind, name in FOLDERS.items():
        root = folder / 'data' / name
        LAYOUTS[kind](root, faces=20 if kind in ('ExpW', 'FolderFaces') else 3)  # of which a tenth is held out
        if kind not in ('RAFDBCompound', 'AffectNet'):  # beside the landmarks of RAF-DB; brings them along
            add_landmarks(f'mmfer.{kind}', root)
    add_landmarks('mmfer.RAFDBCompound', folder / 'data' / 'raf-db', 'compound68.npz')
    return folder


def add_landmarks(kind: str, root: Path, file: str = 'landmarks68.npz') -> None:
    """Writes a landmark file for every face of a miniature."""
    dataset = DATASETS.get(kind)
    splits = [DATASETS.build(dict(type=kind, data_root=str(root), split=split)) for split in dataset.SPLITS]
    names = [name for split in splits for name in split.columns['name'].tolist()]
    points = np.tile(face_points() * 32 - 0.5, (len(names), 1, 1))
    write_landmarks(str(root / file), names, points)


def tiny(config: str, faces: int = TRAIN_FACES) -> dict[str, object]:
    """Options that make a config's data, pictures and queues tiny, and leave its network and method as they are.

    One epoch of batches of eight faces; `faces` counts for drawn ones only.
    """
    cfg = Config.fromfile(config if Path(config).is_file() else ROOT / config)
    small: dict[str, object] = {'train_cfg.max_epochs': 1, 'data_preprocessor.size': 32}
    for split, number in (('train', faces), ('val', TEST_FACES)):
        loader = f'{split}_dataloader'
        small |= {f'{loader}.batch_size': 8, f'{loader}.num_workers': 0, f'{loader}.persistent_workers': False}
        dataset = cfg[loader].dataset
        if dataset.type == 'mmfer.SyntheticFaces':
            small |= {f'{loader}.dataset.num': number, f'{loader}.dataset.size': 32}
        elif dataset.type == 'mmfer.ConcatFaces':
            for i in range(len(dataset.datasets)):
                small |= few(f'{loader}.dataset.datasets.{i}', number // len(dataset.datasets))
        else:
            small |= few(f'{loader}.dataset', number)
    if cfg.train_dataloader.sampler.type == 'mmfer.ClassBalancedSampler':
        small['train_dataloader.sampler.per_class'] = -(-faces // cfg.model.head.num_classes)
    supervision, neck = cfg.model.get('supervision') or {}, cfg.model.get('neck') or {}
    # The side of images that leave more than one cell.
    cells = 96 if (cfg.model.get('backbone') or {}).get('type') == 'mmfer.DlibFaceNet' else 64
    if 'pal' in supervision:
        small['data_preprocessor.size'] = cells  # it compares the cells of a map
    if neck.get('type') == 'mmfer.ARM':  # likewise
        width = MODELS.build({**neck, 'map_size': 2}).out_channels
        small |= {'data_preprocessor.size': cells, 'model.neck.map_size': 2, 'model.head.in_channels': width}
    small |= {f'model.supervision.{place}': 20 for place in places(supervision, 'queue_size')}
    # A hinge that eight faces of an untrained network happen to satisfy would be a loss of 0.
    small |= {f'model.supervision.{place}': 0.99 for place in places(supervision, 'margin')}
    # Weights of networks that are trained before the classifier.
    return small | {f'model.supervision.{place}': None for place in places(supervision, 'checkpoint')}


def few(dataset: str, faces: int) -> dict[str, object]:
    """Options for some faces of 32 px of a dataset on disk."""
    return {f'{dataset}.pipeline.0.size': 32, f'{dataset}.indices': faces}


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
