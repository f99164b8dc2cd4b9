"""A flipped bit of a pack is told when it is opened or when the image is read, and mended by packing again."""

import multiprocessing

import numpy as np
import pytest

from mmfer.datasets.packing import packed_images
from mmfer.datasets.packing.checksums import check_columns
from mmfer.datasets.packing.pack_file import is_whole, join_names, read_pack, write_pack
from mmfer.datasets.packing.packed_images import PackedImages

TOTAL, SHAPE = 5, (4, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (TOTAL, 3, *SHAPE), dtype=np.uint8)


def write(path):
    known = dict(name=join_names([f'{i}\x1b.jpg' for i in range(TOTAL)]), label=np.arange(TOTAL))
    found = dict(hash=np.zeros(TOTAL, np.int64))
    rows = dict(hash=np.arange(TOTAL) + 3)
    return write_pack(path, known, found, SHAPE, dict(source='7'), lambda first, last: (IMAGES, rows))


def read(path):
    """All of it, as a dataset does."""
    metadata, arrays = read_pack(path)
    check_columns(path, metadata, arrays)
    return metadata, {**arrays, 'image': PackedImages(path).read(np.arange(TOTAL))}


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


@pytest.fixture
def pack(tmp_path):
    write(tmp_path / 'x.pack')
    return tmp_path / 'x.pack'


def test_no_flipped_bit_is_read(pack):
    whole = pack.read_bytes()
    metadata, arrays = read(pack)
    told, places = 0, range(0, 8 * len(whole), 11)
    for place in places:
        flip(pack, place)
        try:
            other, others = read(pack)
        except ValueError as error:
            told += 'copy it again, or pack again: python' in str(error)
        else:  # a tab for a blank in the header
            assert other == metadata
            assert all(np.array_equal(arrays[name], others[name]) for name in arrays)
        pack.write_bytes(whole)
    assert told > 0.98 * len(places)


def test_an_image_is_named_and_the_others_are_read(pack):
    flip(pack, 8 * (len(pack.read_bytes()) - IMAGES[0].size - 1))
    images = PackedImages(pack)
    assert np.array_equal(images.read(np.array([0, 2, 4, 4])), IMAGES[[0, 2, 4, 4]])
    for ask in (lambda: images[3], lambda: images.read(np.array([1, 3])), lambda: images[2:].read(np.array([1]))):
        with pytest.raises(ValueError, match=r'x\.pack is damaged: the image 3\\x1b\.jpg differs from its checksum'):
            ask()


def test_an_image_is_compared_once(pack, monkeypatch):
    images, asked = PackedImages(pack), []
    sums = packed_images.image_sums
    monkeypatch.setattr(packed_images, 'image_sums', lambda some: asked.append(len(some)) or sums(some))
    for rows in ([0, 1], [1, 2], [0, 2]):
        images.read(np.array(rows))
    process = multiprocessing.get_context('fork').Process(target=images.read, args=(np.array([3, 4]),))
    process.start()
    process.join()
    images.read(np.arange(5))
    assert asked == [2, 1, 0, 0]


def test_packing_again_mends_it(pack):
    whole = pack.read_bytes()
    assert is_whole(pack)
    assert not write(pack)
    flip(pack, 8 * (len(whole) - 3))
    assert not is_whole(pack)
    assert write(pack)
    assert pack.read_bytes() == whole
