"""A cache with a flipped bit, or cut off anywhere, gives what a fresh one gives."""

import numpy as np
import pytest
from fuzz.readers import READERS

CACHES = ('column_cache', 'drawn_faces_npy', 'drawn_faces_npz', 'checked_images', 'landmark_progress')


@pytest.mark.parametrize('name', CACHES)
def test_damage_anywhere_is_noticed(name, tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE', '')
    monkeypatch.setattr('mmfer.datasets.synthetic_faces.cache.print_log', lambda *_, **__: None)
    reader, random = READERS[name](tmp_path), np.random.default_rng(0)
    (whole,) = reader.seeds
    for bit in random.choice(8 * len(whole), 100, replace=False).tolist():
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        assert reader.check(bytes(flipped))
    for length in {0, 1, len(whole) - 1, *random.choice(len(whole), 30).tolist()}:
        assert reader.check(whole[:length])
