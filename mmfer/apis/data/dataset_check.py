"""Looks through the datasets of a config: every image decoded, compared with every other, landmarks with a face."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, DefaultScope

from mmfer.apis.data.dataset_findings import CheckedSet, DatasetCheck, Pair
from mmfer.apis.dataset_configs import dataset_configs
from mmfer.datasets import FaceDataset, LoadFace
from mmfer.datasets.images.bad_images import BadImage, place_of
from mmfer.datasets.images.duplicates import CANDIDATE, SAME, digest, nearest, similarity, thumbnail
from mmfer.datasets.images.face_places import FacePlaces
from mmfer.datasets.images.jpeg_scans import decoder_warnings
from mmfer.datasets.landmarks.check import in_corner, off_image, shape_outlyingness
from mmfer.datasets.landmarks.posture import posture
from mmfer.datasets.transforms.pipeline_trial import try_pipeline
from mmfer.engine.checks.unused_settings import check_settings
from mmfer.progress import ProgressBar

_CHUNK = 64


def check_datasets(cfg: Config) -> DatasetCheck:
    """Looks through the datasets of a config's three loaders as they are on disk: without label noise, not packed.

    Raises:
        FileNotFoundError: A label or landmark file, or a folder, is missing.
        ValueError: One of them cannot be read, or the config has no dataset of mmfer, or settings that are wrong
            (`check_settings`) or make no faces of pictures (`try_pipeline`).
    """
    check_settings(cfg)
    sets: list[CheckedSet] = []
    seen, places = set(), FacePlaces()
    for dataset in _datasets(cfg):
        key = (places.folder(dataset.image_folder), dataset.split, dataset.fingerprint())
        if key not in seen:
            seen.add(key)
            sets.append(_look_through(dataset))
    if not sets:
        raise ValueError(f'{cfg.filename} has no dataset of mmfer in its loaders: there is nothing to check')
    return DatasetCheck(sets, find_pairs(sets), _shared_people(sets))


def find_pairs(sets: Sequence[CheckedSet]) -> list[Pair]:
    """Same pictures: each row with the most similar of the earlier rows of its set, and of each earlier set."""
    pairs = []
    for a, b in [*combinations(range(len(sets)), 2), *((i, i) for i in range(len(sets)))]:
        first: dict[bytes, int] = {}
        for row, pixels in enumerate(sets[a].digests):
            first.setdefault(pixels, row)
        first.pop(b'', None)
        same = {
            row: first[pixels]
            for row, pixels in enumerate(sets[b].digests)
            if pixels in first and (a != b or first[pixels] < row)
        }
        pairs += [Pair((a, b), (other, row), 1.0) for row, other in same.items()]
        best, others = nearest(sets[b].thumbnails, None if a == b else sets[a].thumbnails)
        for row in np.flatnonzero(best > CANDIDATE).tolist():
            other = int(others[row])
            if row not in same:
                value = similarity(picture(sets[a].dataset, other), picture(sets[b].dataset, row))
                if value > SAME:
                    pairs.append(Pair((a, b), (other, row), value))
    return pairs


def _datasets(cfg: Config) -> Iterator[FaceDataset]:
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        for _, settings in dataset_configs(cfg):
            kind = DATASETS.get(settings['type'])
            if isinstance(kind, type) and issubclass(kind, FaceDataset):
                dataset = DATASETS.build(
                    {
                        **settings,
                        'pipeline': [],
                        'label_noise': None,
                        'packed': None,
                        'on_bad_image': 'skip',
                        'lazy_init': True,
                    }
                )
                dataset.full_init()
                dataset.pipeline = Compose(settings.get('pipeline', ()))
                try_pipeline(dataset)
                yield dataset


def picture(dataset: FaceDataset, row: int) -> np.ndarray:
    """A face as it is stored, BGR uint8 [H, W, 3]."""
    return LoadFace().transform(dataset.get_data_info(row))['img']


def _look_through(dataset: FaceDataset) -> CheckedSet:
    name, count = f'{type(dataset).__name__} {dataset.split}', len(dataset)
    size, digests = np.zeros((count, 2), np.int64), [b''] * count
    thumbnails, bad = np.zeros((count, thumbnail(np.zeros((1, 1, 3), np.uint8)).size), np.float32), []

    def where(row: int) -> str:
        return place_of(row, dataset.columns, dataset.image_folder, dataset.label_file)

    def look(start: int) -> int:
        rows = range(start, min(start + _CHUNK, count))
        for row in rows:
            try:
                image = picture(dataset, row)
            except (ValueError, FileNotFoundError):  # the header and the end are in order, or it would be left out
                bad.append(BadImage(row, where(row), 'cut off or damaged'))
                continue
            size[row], digests[row], thumbnails[row] = image.shape[1::-1], digest(image), thumbnail(image)
        return len(rows)

    with ThreadPoolExecutor() as pool, ProgressBar(total=count, desc=name, unit='face') as bar:
        for done in pool.map(look, range(0, count, _CHUNK)):
            bar.update(done)
    if 'image' not in dataset.columns:
        rows = np.flatnonzero(size[:, 0]).tolist()
        warnings = decoder_warnings([dataset.get_data_info(row)['img_path'] for row in rows], f'{name}: damage inside')
        bad += [BadImage(rows[i], where(rows[i]), f'damaged ({text})') for i, text in warnings.items()]
    outlying, beside, corner = np.full(count, np.nan), np.zeros(count, bool), np.zeros(count, bool)
    found = None
    if dataset.has_landmarks:
        points, valid = dataset.columns['landmarks'], dataset.columns['landmark_valid']
        beside = off_image(points, size) & valid
        if valid.any():
            outlying[valid] = shape_outlyingness(points[valid])
            corner[valid] = in_corner(points[valid], size[valid])
            found = posture(points[valid])
    bad = [*dataset.bad_images, *sorted(bad)]
    return CheckedSet(name, dataset, bad, size, digests, thumbnails, outlying, beside, corner, found)


def _shared_people(sets: Sequence[CheckedSet]) -> dict[tuple[int, int], list[str]]:
    """Identities in two sets of the same source: another's person 1 is somebody else."""
    shared, places = {}, FacePlaces()
    for a, b in combinations(range(len(sets)), 2):
        one, other = sets[a].dataset, sets[b].dataset
        if type(one) is type(other) and places.folder(one.data_root) == places.folder(other.data_root):
            people = [set(dataset.columns.get('identity', np.array([])).tolist()) for dataset in (one, other)]
            if all(people):
                shared[a, b] = sorted(map(str, people[0] & people[1]))
    return shared
