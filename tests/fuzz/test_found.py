"""Files that a fuzzer has found, each at a reader that failed at it: they are read, or refused as documented."""

import logging

import pytest
from fuzz.readers import READERS
from mmengine.logging import MMLogger

FOUND = [
    ('csv_faces', b'name,label\n\x01', 'the least label of no rows'),
    ('fer2013_csv', b'emotion,pixels,Usage\n0\n7,,Training\n', 'the emotion of a row behind one that is bad'),
    (
        'affectnet_npy',
        b"\x93NUMPY\x01\x00v\x00{'descr'  :'1<U','fortran_order' :False ,'shape'\n"
        b'                                                                :(),}\x00\x00\x007',
        "numpy's SystemError of a letter beyond Unicode",
    ),
    (
        'landmark_npz',
        b'PK\x06\x07' + bytes(12) + b'\2\0\0\0' + b'PK\x05\x06' + bytes(18),
        "zipfile's exception where it only looks whether this is an archive: it would be of two disks",
    ),
]


@pytest.mark.parametrize(('name', 'data', 'fault'), FOUND, ids=[f'{name}: {fault}' for name, _, fault in FOUND])
def test_what_was_found_is_mended(tmp_path, monkeypatch, name, data, fault):
    monkeypatch.setenv('MMFER_CACHE', '')
    MMLogger.get_instance('fuzz', logger_name='mmfer-fuzz').setLevel(logging.CRITICAL)
    READERS[name](tmp_path).check(data)
