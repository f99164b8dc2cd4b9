"""One training a folder: another process is refused, and a lock whose holder is gone holds nothing."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmfer.engine.run_lock import LOCK, only_run_in

HOLD = """
import os, sys, time
from mmfer.engine.run_lock import only_run_in
with only_run_in(sys.argv[1]):
    if os.fork() == 0:
        time.sleep(30)  # as a loader's worker, which outlives its parent for some seconds
    print('held', flush=True)
    time.sleep(60)
"""


def test_a_folder_that_is_in_use_is_refused_until_its_holder_is_gone(tmp_path):
    environment = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path)], stdout=subprocess.PIPE, env=environment, start_new_session=True
    )
    try:
        assert holder.stdout.readline() == b'held\n'
        says = rf'{re.escape(str(tmp_path))} is in use by another training \(process {holder.pid} on '
        says += rf'{re.escape(socket.gethostname())} since 20\d\d-.*\): wait for its end, .* --work-dir'
        with pytest.raises(ValueError, match=says), only_run_in(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with only_run_in(tmp_path):
            assert f'process {os.getpid()} on' in (tmp_path / LOCK).read_text()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.stdout.close()


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path):
    (tmp_path / LOCK).write_text('process 1 on elsewhere since 2020-01-01 00:00:00, and more than that')
    before = time.time()
    with only_run_in(tmp_path):
        text = (tmp_path / LOCK).read_text()
    assert text.startswith(f'process {os.getpid()} on {socket.gethostname()} since ')
    assert 'more than that' not in text
    assert before - 60 < (tmp_path / LOCK).stat().st_mtime


def test_a_file_system_without_locks_is_said_and_no_reason_to_stop(tmp_path, monkeypatch):
    said = []

    def none(*_):
        raise OSError(38, 'Function not implemented')

    monkeypatch.setattr('mmfer.engine.run_lock.fcntl.lockf', none)
    monkeypatch.setattr('mmfer.engine.run_lock.print_log', lambda text, *_: said.append(text))
    with only_run_in(tmp_path):
        assert said == [f'{tmp_path} cannot be locked (Function not implemented): do not start two trainings in it']
