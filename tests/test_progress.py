"""The progress bar where there is no terminal."""

import io
import sys

from mmfer import progress
from mmfer.progress import ProgressBar


def test_without_a_terminal_it_writes_plain_lines_now_and_then(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, 'stderr', out)
    assert list(ProgressBar(range(5), desc='quick', unit='face')) == [0, 1, 2, 3, 4]
    assert out.getvalue() == ''
    monkeypatch.setattr(progress, '_SECONDS_UNSHOWN', 0)
    monkeypatch.setattr(progress, '_SECONDS_A_LINE', 0)
    bar = ProgressBar(total=3, desc='long', unit='face')
    for _ in range(3):
        bar.update()
    bar.close()
    lines = out.getvalue().splitlines()
    assert [line[:10] for line in lines] == ['long: 0/3 ', 'long: 1/3 ', 'long: 2/3 ', 'long: 3/3 ']
    assert '\r' not in out.getvalue()
    assert 'face/s' in lines[-1]


def test_only_the_main_process_shows_one(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, 'stderr', out)
    monkeypatch.setattr(progress, '_SECONDS_UNSHOWN', 0)
    monkeypatch.setattr(progress, 'is_main_process', lambda: False)
    assert list(ProgressBar(range(3))) == [0, 1, 2]
    assert out.getvalue() == ''
