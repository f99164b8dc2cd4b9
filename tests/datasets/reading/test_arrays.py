import io
import os
import struct
import zipfile

import numpy as np
import pytest

from mmfer.datasets.reading.arrays import map_npy, read_npy, read_npz

VALUES = {
    'names': np.array(['grün.jpg', 'b.jpg', '']),
    'points': np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    'by columns': np.asfortranarray(np.arange(6).reshape(2, 3)),
    'turned': np.arange(3, dtype='>i4'),
    'one': np.array(7),
    'none': np.zeros((0, 68, 2)),
    'bytes': np.array([b'a', b'bc']),
    'bool': np.array([True, False]),
}


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(text, data=b''):
    text = text.encode() + b'\n'
    return b'\x93NUMPY\1\0' + struct.pack('<H', len(text)) + text + data


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path, save):
    save(tmp_path / 'a.npz', **VALUES)
    again = read_npz(tmp_path / 'a.npz')
    assert again.keys() == VALUES.keys()
    for key, array in VALUES.items():
        assert again[key].dtype == array.dtype
        assert again[key].flags.writeable
        np.testing.assert_array_equal(again[key], array)
        np.save(tmp_path / 'a.npy', array)
        np.testing.assert_array_equal(read_npy(tmp_path / 'a.npy'), array, strict=True)
        if array.size:
            mapped = map_npy(tmp_path / 'a.npy')
            np.testing.assert_array_equal(mapped, array, strict=True)
            assert not mapped.flags.writeable
    assert list(read_npz(tmp_path / 'a.npz', ['one'])) == ['one']


@pytest.mark.parametrize(
    ('data', 'sentence'),
    [
        (b'', r'it is no \.npy'),
        (b'\x93NUMPY', r'it is no \.npy'),
        (b'\x80\x04N.', r'it is no \.npy'),
        (npy(np.array([{}], dtype=object)), 'it holds pickled objects, neither numbers nor texts'),
        (npy(np.zeros(2, dtype=[('x', 'f4')])), 'it holds values of the type'),
        (npy(np.zeros(2, dtype=np.complex64)), 'it holds values of the type complex64'),
        (npy(np.zeros(2, dtype='M8[s]')), 'it holds values of the type datetime64'),
        (npy(np.arange(9))[:-1], r'it says that it holds \[9\] values of 8 bytes, and has 71 bytes'),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (12000000000,)}"), r'says that .* \[12000000000\]'),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", bytes(8)), r'says that it holds \[-1\]'),
        (header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'9' * 40},)}}"), 'says that it holds'),
        (header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'9' * 5000},)}}"), 'its header is damaged'),
        (header("{'descr': '<U0', 'fortran_order': False, 'shape': (999999999999,)}"), 'values of 0 bytes'),
        (header('(' * 5000), 'its header is damaged'),
        (header("{'descr': '<f4', 'shape': ("), 'its header is damaged'),
        (header("{'descr': '<f4"), 'its header is damaged'),
        (header('{"""'), 'its header is damaged'),
        (header('-' * 9000 + '1'), 'its header is damaged'),
        (header("{'descr': '<U1', 'fortran_order': False, 'shape': ()}", b'\xff' * 4), 'letters that no text has'),
        (npy(np.zeros(200_000)), 'it has 1,600,128 bytes, and 1,048,576 would be many'),
    ],
)
def test_what_a_header_says_is_not_believed(tmp_path, data, sentence):
    (tmp_path / 'a.npy').write_bytes(data)
    with pytest.raises(ValueError, match=sentence):
        read_npy(tmp_path / 'a.npy')
    if len(data) > 100_000:
        return
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('a.npy', data)
    with pytest.raises(ValueError, match=f'a cannot be read .*{sentence}'):
        read_npz(tmp_path / 'a.npz')


def test_an_archive_that_unpacks_to_gigabytes_is_refused_unseen(tmp_path):
    path = tmp_path / 'bomb.npz'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive, archive.open('points.npy', 'w') as stream:
        stream.write(header("{'descr': '|u1', 'fortran_order': False, 'shape': (400000000,)}"))
        for _ in range(400):
            stream.write(bytes(1_000_000))
    assert path.stat().st_size < 500_000
    with pytest.raises(ValueError, match='its [0-9,]+ bytes would become 400,0'):
        read_npz(path)


def test_a_member_that_says_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.arange(9))
    data, size = path.read_bytes(), struct.pack('<I', 200)
    assert data.count(size) >= 2
    for said, sentence in ((4 * 10**9, 'would become 4,000,000,000'), (10**8, 'a cannot be read')):
        path.write_bytes(data.replace(size, struct.pack('<I', said)))
        with pytest.raises(ValueError, match=sentence):
            read_npz(path)


def test_a_byte_that_is_another_is_seen_by_the_checksum(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.arange(9))
    data = path.read_bytes()
    at = data.index(np.arange(9).tobytes()) + 8
    path.write_bytes(data[:at] + b'\2' + data[at + 1 :])
    with pytest.raises(ValueError, match=r'a cannot be read \(Bad CRC-32'):
        read_npz(path)


def test_arrays_by_another_name_are_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('names.pkl', b'\x80\x04N.')
    with pytest.raises(ValueError, match=r'it has names\.pkl but no names'):
        read_npz(tmp_path / 'a.npz', ['names'])
    with pytest.raises(ValueError, match=r'names\.pkl cannot be read \(it is no \.npy\)'):
        read_npz(tmp_path / 'a.npz')


def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / 'a.npz')
    (tmp_path / 'b.npy').symlink_to('/dev/zero')
    with pytest.raises(ValueError, match='is a pipe; give a file'):
        read_npz(tmp_path / 'a.npz')
    with pytest.raises(ValueError, match=r'is a device \(a link to /dev/zero\); give a file'):
        read_npy(tmp_path / 'b.npy')
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / 'gone.npz')
