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
]


@pytest.mark.parametrize(('name', 'data', 'fault'), FOUND, ids=[f'{name}: {fault}' for name, _, fault in FOUND])
def test_what_was_found_is_mended(tmp_path, monkeypatch, name, data, fault):
    monkeypatch.setenv('MMFER_CACHE', '')
    MMLogger.get_instance('fuzz', logger_name='mmfer-fuzz').setLevel(logging.CRITICAL)
    READERS[name](tmp_path).check(data)
