"""Cores and multiplication as the files of a Linux machine tell them."""

import os

import pytest

from mmfer import machine
from mmfer.machine import bfloat16_flag, usable_cores


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes the files of a machine with 64 cores, as which it is made to look."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(64)), raising=False)
    places = dict(CGROUPS='cgroups', SELF='self', CPUINFO='cpuinfo')
    for name, place in places.items():
        monkeypatch.setattr(machine, name, tmp_path / place)

    def write(**texts):
        for path, text in texts.items():
            file = tmp_path / path.replace('__', '/').replace('_max', '.max').replace('_cfs', '.cfs')
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


@pytest.mark.parametrize(
    ('texts', 'cores'),
    [
        ({}, 64),
        (dict(self='0::/\n'), 64),
        (dict(self='0::/\n', cgroups__cpu_max='max 100000\n'), 64),
        (dict(self='0::/\n', cgroups__cpu_max='200000 100000\n'), 2),
        (dict(self='0::/\n', cgroups__cpu_max='50000 100000\n'), 1),
        (dict(self='0::/docker/of/the/host\n', cgroups__cpu_max='350000 100000\n'), 3),
        (
            dict(
                self='0::/user/job\n', cgroups__user__cpu_max='400000 100000\n', cgroups__user__job__cpu_max='max 1\n'
            ),
            4,
        ),
        (
            dict(
                self='5:devices:/\n3:cpu,cpuacct:/\n0::/\n',
                cgroups__cpu__cpu_cfs_quota_us='600000\n',
                cgroups__cpu__cpu_cfs_period_us='100000\n',
            ),
            6,
        ),
        (
            dict(self='1:cpu:/\n', cgroups__cpu__cpu_cfs_quota_us='-1\n', cgroups__cpu__cpu_cfs_period_us='100000\n'),
            64,
        ),
    ],
)
def test_a_container_may_use_what_it_was_given(files, texts, cores):
    files(**texts)
    assert usable_cores() == cores


def test_a_process_that_is_bound_may_use_those_cores(files, monkeypatch):
    files(self='0::/\n', cgroups__cpu_max='800000 100000\n')
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5}, raising=False)
    assert usable_cores() == 2


@pytest.mark.parametrize(
    ('text', 'flag'),
    [
        ('processor : 0\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n', 'amx_bf16'),
        ('flags : fpu avx2 avx512f\n', ''),
        ('Features\t: fp asimd bf16\n', 'bf16'),
        ('processor : 0\n', None),
    ],
)
def test_a_processor_says_whether_it_multiplies_in_bfloat16(files, text, flag):
    assert bfloat16_flag() is None  # where nothing tells
    files(cpuinfo=text)
    assert bfloat16_flag() == flag
