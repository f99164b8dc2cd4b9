"""Faces of datasets that have no image file each, as image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmfer.apis.dataset_configs import dataset_configs
from mmfer.datasets import LoadFace
from mmfer.datasets.reading.inside import place_inside
from mmfer.progress import ProgressBar
from mmfer.structures.whole_files import written_whole

NOT_OF_THE_PICTURE = ('label_noise', 'landmarks', 'indices', 'packed')
"""Arguments of a dataset that choose rows or add to them, and need files that may not be there yet."""


def write_face_images(cfg: Config, folder: str | Path) -> int:
    """Writes every face of a config's datasets as a PNG of its stored size, cut out where the dataset has boxes.

    Files are called as the dataset calls its faces (``columns['name']``), so that landmarks found in the folder belong
    to them. Those that are there already are left as they are.

    Args:
        cfg: The config; what its loaders leave out by ``indices`` is written, too.
        folder: Where to write.

    Returns:
        How many faces there are.

    Raises:
        ValueError: The config has no dataset of faces, two of its faces have one name, or one has a name that leaves
            the folder.
    """
    folder, load = Path(folder), LoadFace()
    where: dict[str, Any] = {}  # the loaders of val and test often share their faces
    for part in _datasets(cfg):
        for row, name in enumerate(part.columns['name'].tolist()):
            other, other_row = where.setdefault(name, (part, row))
            if _place(other, other_row) != _place(part, row):
                raise ValueError(
                    f'{name} is a face of {_place(other, other_row)} and of {_place(part, row)}: give a '
                    'config with one of the data sets'
                )
    if not where:
        raise ValueError(f'{cfg.filename} has no data set of faces: its loaders are empty')
    targets: dict[Path, str] = {}
    for name in where:
        target = place_inside(folder, name).with_suffix('.png')
        if (other := targets.setdefault(target, name)) != name:
            raise ValueError(f'{other} and {name} would both become {target}: rename one of them')
    for path, name in ProgressBar(targets.items(), unit='face', desc='writing'):
        part, row = where[name]
        if not path.exists():
            with written_whole(path, 'wb') as stream:
                stream.write(cv2.imencode('.png', load(part.get_data_info(row))['img'])[1])
    return len(where)


def _datasets(cfg: Config) -> list[Any]:
    bare = [
        {key: value for key, value in settings.items() if key not in NOT_OF_THE_PICTURE}
        for _, settings in dataset_configs(cfg)
    ]
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        return [DATASETS.build(settings) for settings in {str(settings): settings for settings in bare}.values()]


def _place(dataset: Any, row: int) -> str:
    columns = dataset.columns
    name = str(columns['file' if 'file' in columns else 'name'][row])
    return f'{Path(dataset.image_folder) / name}' + (f' {columns["box"][row].tolist()}' if 'box' in columns else '')
