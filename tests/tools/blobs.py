"""A landmark detector in a package of its own, and images for it: cheap, and its answers are known."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmfer.registry import LANDMARK_DETECTORS

REGISTRY = """
from mmengine.registry import Registry

from mmfer.registry import LANDMARK_DETECTORS as MMFER

LANDMARK_DETECTORS = Registry('landmark detector', parent=MMFER, scope='blobs_pkg', locations=['blobs_pkg.detector'])
"""
DETECTOR = '''
import time

import numpy as np

from blobs_pkg.registry import LANDMARK_DETECTORS


@LANDMARK_DETECTORS.register_module()
class RedBlob:
    """All points lie on the reddest pixel, each moved a little."""

    def __init__(self, seconds=0.):
        self.seconds = seconds

    def detect(self, images):
        time.sleep(self.seconds * len(images))
        points, score = np.zeros((len(images), 68, 2), np.float32), np.zeros(len(images), np.float32)
        for row, image in enumerate(images):
            assert image.dtype == np.uint8 and image.shape[2] == 3 and image.flags.c_contiguous
            red = image[..., 0].astype(float) - image[..., 1:].max(2)
            y, x = np.unravel_index(red.argmax(), red.shape)
            if red.max() > 50:
                points[row] = np.array([x, y]) + np.arange(136).reshape(68, 2) / 100
                score[row] = red.max() / 255
        return points, score
'''
RED_BLOB = dict(type='blobs_pkg.RedBlob')


@pytest.fixture
def plugin(tmp_path, monkeypatch) -> Path:
    """Makes `blobs_pkg.RedBlob` importable for the length of a test; its folder."""
    folder = tmp_path / 'plugin'
    package = folder / 'blobs_pkg'
    package.mkdir(parents=True)
    for name, text in (('__init__', ''), ('registry', REGISTRY), ('detector', DETECTOR)):
        (package / f'{name}.py').write_text(text)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.split('.')[0] == 'blobs_pkg']:
        del sys.modules[name]
    LANDMARK_DETECTORS._children.pop('blobs_pkg', None)


def blob_image(x: int, y: int, shape=(24, 32), red: int = 250) -> np.ndarray:
    """BGR, one red pixel at (x, y) and a brighter blue one elsewhere."""
    image = np.full((*shape, 3), 20, np.uint8)
    image[shape[0] - 1 - y, shape[1] - 1 - x] = (255, 20, 20)
    image[y, x] = (20, 20, red)
    return image


def write_blobs(folder: Path, count: int, seed: int = 0) -> dict[str, tuple[int, int]]:
    """Writes PNGs into two subfolders; name to (x, y)."""
    random, places = np.random.default_rng(seed), {}
    for i in range(count):
        name, place = f'{"ab"[i % 2]}/{i:05}.png', (int(random.integers(1, 30)), int(random.integers(1, 11)))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), blob_image(*place, red=200 + i % 50))
        places[name] = place
    return places


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()
    }
