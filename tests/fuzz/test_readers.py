"""Whatever a file holds, a reader reads it or refuses it as documented.

MMFER_FUZZ_EXAMPLES=10000 runs as many files of each kind instead of a few.
"""

import logging
import os

import pytest
from fuzz.mutations import files
from fuzz.readers import READERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.logging import MMLogger

EXAMPLES = int(os.environ.get('MMFER_FUZZ_EXAMPLES', 15))


@pytest.fixture(params=READERS)
def reader(request, tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE', '')
    MMLogger.get_instance('fuzz', logger_name='mmfer-fuzz').setLevel(logging.CRITICAL)
    return READERS[request.param](tmp_path)


def test_what_the_mutations_begin_with_is_read(reader):
    assert reader.check(reader.seeds[0])
    assert not reader.parts or reader.check(reader.wrap(reader.parts[0]))


def test_a_reader_reads_or_refuses_as_documented(reader):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data):
        whole = not reader.parts or data.draw(st.booleans())
        reader.check(data.draw(files(reader.seeds)) if whole else reader.wrap(data.draw(files(reader.parts))))

    check()
