import json
import struct
from itertools import pairwise

import numpy as np
import pytest

from mmfer.datasets.packing import pack_file
from mmfer.datasets.packing.pack_file import join_names, read_pack, split_names, write_pack

TOTAL, SHAPE = 11, (3, 5)
NAMES = [f'Ordner/Gesicht ä {i}.jpg' for i in range(TOTAL)]
IMAGES = np.random.default_rng(0).integers(0, 256, (TOTAL, 3, *SHAPE), dtype=np.uint8)
HASHES = np.arange(TOTAL) ** 9 - 5
SHAPES = np.arange(2 * TOTAL).reshape(TOTAL, 2) + 40


def slices(first, last):
    return IMAGES[first:last], dict(hash=HASHES[first:last], ori_shape=SHAPES[first:last])


def write(path, label=7, decode=slices):
    known = dict(name=join_names(NAMES), label=np.full(TOTAL, label), score=np.ones((TOTAL, 2), np.float32))
    found = dict(hash=np.zeros(TOTAL, np.int64), ori_shape=np.zeros((TOTAL, 2), np.int32))
    return write_pack(path, known, found, SHAPE, dict(source=str(label)), decode)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(pack_file, '_CHUNK', 4)


def test_what_is_written_is_read(tmp_path):
    assert write(tmp_path / 'x.pack')
    metadata, arrays = read_pack(tmp_path / 'x.pack')
    assert metadata == dict(format='mmfer pack 2', source='7')
    assert set(arrays) == {'name', 'label', 'score', 'hash', 'ori_shape', 'image', 'image_crc', 'columns_crc'}
    assert np.array_equal(arrays['image'], IMAGES)
    assert np.array_equal(arrays['hash'], HASHES)
    assert np.array_equal(arrays['ori_shape'], SHAPES)
    assert split_names(arrays['name']) == NAMES
    assert not arrays['image'].flags.writeable
    assert [path.name for path in tmp_path.iterdir()] == ['x.pack']


def test_the_layout_is_that_of_safetensors(tmp_path):
    """Header length, header, one buffer without holes; every array begins at a multiple of its item."""
    write(tmp_path / 'x.pack')
    data = (tmp_path / 'x.pack').read_bytes()
    (length,) = struct.unpack('<Q', data[:8])
    header = json.loads(data[8 : 8 + length])
    buffer = data[8 + length :]
    assert header['__metadata__']['source'] == '7'
    spans = sorted(entry['data_offsets'] for name, entry in header.items() if name != '__metadata__')
    assert spans[0][0] == 0
    assert spans[-1][1] == len(buffer)
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    first, last = header['image']['data_offsets']
    assert header['image']['shape'] == [TOTAL, 3, *SHAPE]
    assert header['image']['dtype'] == 'U8'
    assert buffer[first:last] == IMAGES.tobytes()
    first, last = header['label']['data_offsets']
    assert struct.unpack(f'<{TOTAL}q', buffer[first:last]) == (7,) * TOTAL
    items = dict(I64=8, I32=4, F32=4, U8=1)
    assert all(
        (8 + length + entry['data_offsets'][0]) % items[entry['dtype']] == 0
        for name, entry in header.items()
        if name != '__metadata__'
    )


def test_cut_off_anywhere_it_goes_on_to_the_same_bytes(tmp_path):
    write(tmp_path / 'x.pack')
    whole = (tmp_path / 'x.pack').read_bytes()
    for length in {*range(0, len(whole), 61), len(whole)}:
        (tmp_path / 'y.pack.part').write_bytes(whole[:length])
        assert write(tmp_path / 'y.pack')
        assert (tmp_path / 'y.pack').read_bytes() == whole
        (tmp_path / 'y.pack').unlink()


def test_going_on_does_not_do_again_what_is_done(tmp_path):
    asked = []

    def decode(first, last):
        asked.append((first, last))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return slices(first, last)

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'x.pack', decode=decode)
    assert not (tmp_path / 'x.pack').exists()
    assert write(tmp_path / 'x.pack', decode=decode)
    assert asked == [(0, 4), (4, 8), (8, 11), (8, 11)]
    assert np.array_equal(read_pack(tmp_path / 'x.pack')[1]['hash'], HASHES)
    assert not write(tmp_path / 'x.pack', decode=decode)  # it is there
    assert len(asked) == 4


def test_a_part_of_something_else_is_begun_anew(tmp_path):
    write(tmp_path / 'x.pack')
    whole = (tmp_path / 'x.pack').read_bytes()
    (tmp_path / 'x.pack.part').write_bytes(whole[:-40])
    assert write(tmp_path / 'x.pack', label=3)
    assert (read_pack(tmp_path / 'x.pack')[1]['label'] == 3).all()
    (tmp_path / 'z.pack').write_bytes(whole)
    assert (tmp_path / 'x.pack').read_bytes() != whole
    assert write(tmp_path / 'x.pack')
    assert (tmp_path / 'x.pack').read_bytes() == whole


def test_other_files_are_not_overwritten(tmp_path):
    (tmp_path / 'labels.csv').write_text('name,label\n')
    with pytest.raises(ValueError, match=r'labels\.csv is there and is no pack: give another name'):
        write(tmp_path / 'labels.csv')
    assert (tmp_path / 'labels.csv').read_text() == 'name,label\n'


@pytest.mark.parametrize(
    'spoil',
    [
        lambda data: data[:-1],
        lambda data: data + b'0',
        lambda data: data[:100],
        lambda data: b'',
        lambda data: b'x' * 900,
        lambda data: data.replace(b'mmfer pack 2', b'mmfer pack 9'),
        lambda data: data[:8] + b'[1]' + data[11:],
        lambda data: b'\2' + b'\0' * 7 + b'{}' + data[10:],
        lambda data: (100_000).to_bytes(8, 'little') + b'[' * 100_000,
        lambda data: b'\xff' * 8 + data[8:],
        lambda data: data.replace(b'"shape": [11, 2]', b'"shape": [-1, 2]'),
        lambda data: data.replace(b'"shape": [11, 2]', b'"shape": ["1"]  '),
        lambda data: data.replace(b'"source": "7"', b'"source": 777'),
        lambda data: data.replace(b'"dtype": "I64"', b'"dtype": [164]'),
    ],
)
def test_a_damaged_file_is_refused_in_words(tmp_path, spoil):
    path = tmp_path / 'x.pack'
    write(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match=r'x\.pack is no whole pack.*copy it again, or pack again: python'):
        read_pack(path)


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.pack: make it with python tools/dataset_tools/pack\.py CONFIG'):
        read_pack(tmp_path / 'gone.pack')
