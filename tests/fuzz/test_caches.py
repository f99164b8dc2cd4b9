"""A cache with a flipped bit, or cut off anywhere, gives what a fresh one gives."""

import zipfile

import numpy as np
import pytest
from fuzz.readers import READERS

CACHES = ('column_cache', 'drawn_faces_npy', 'drawn_faces_npz', 'checked_images', 'landmark_progress', 'audit_fold')


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


@pytest.mark.parametrize(
    ('cache', 'names'), [('column_cache', (b'label', b'landmarks')), ('drawn_faces_npz', (b'label', b'landmarks'))]
)
def test_a_column_that_the_list_of_an_archive_lacks_is_noticed(cache, names, tmp_path, monkeypatch):
    """A longer comment in front of it swallows its entry, and every array that is listed still has its checksum."""
    monkeypatch.setenv('MMFER_CACHE', '')
    monkeypatch.setattr('mmfer.datasets.synthetic_faces.cache.print_log', lambda *_, **__: None)
    reader = READERS[cache](tmp_path)
    (whole,) = reader.seeds
    for name in names:
        entry = whole.rindex(b'PK\1\2', 0, whole.rindex(name + b'.npy'))
        before = whole.rindex(b'PK\1\2', 0, entry)
        damaged = bytearray(whole)
        damaged[before + 32] = whole.find(b'PK', entry + 4) - entry
        end = damaged.rindex(b'PK\5\6')
        damaged[end + 8] = damaged[end + 10] = damaged[end + 8] - 1
        (tmp_path / 'damaged.npz').write_bytes(damaged)
        assert f'{name.decode()}.npy' not in zipfile.ZipFile(tmp_path / 'damaged.npz').namelist()
        assert reader.check(bytes(damaged))
