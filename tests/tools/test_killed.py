"""Landmark extraction and alignment, killed at random moments, end with the files of an undisturbed run."""

import os
import random
import shutil
import signal
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from tools.blobs import RED_BLOB, contents, plugin, write_blobs  # noqa: F401  a fixture

from mmfer.apis.data.folder_alignment import align_folder
from mmfer.apis.data.landmark_extraction import extract_landmarks

KILLS = 10


@pytest.fixture
def start(plugin):  # noqa: F811
    """Starts a function in a process of its own, forked from one that has imported what takes seconds."""
    context = get_context('forkserver')
    context.set_forkserver_preload(['mmfer.apis.data.folder_alignment', 'mmfer.apis.data.landmark_extraction'])
    started = []

    def begin(work):
        started.append(context.Process(target=work))
        started[-1].start()
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.join()


def killed(start, work, seconds: float, out: Path, expected: dict[str, bytes]) -> dict[str, bytes]:
    """Kills a job ten times within the time that it takes undisturbed, lets it end, and reads what it wrote.

    A job that ends before it is killed has to begin anew.
    """
    chance, kills, interrupted = random.Random(0), 0, 0
    while kills < KILLS:
        process = start(work)
        process.join(chance.uniform(0, seconds))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += process.exitcode == -signal.SIGKILL
            interrupted += out.exists() and contents(out) != expected
        if process.exitcode == 0:
            assert contents(out) == expected
            shutil.rmtree(out)
    assert interrupted > KILLS // 2, 'it was killed in the midst of its work'
    process = start(work)
    process.join()
    assert process.exitcode == 0
    return contents(out)


def undisturbed(start, work, out: Path) -> tuple[float, dict[str, bytes]]:
    begin = time.monotonic()
    process = start(work)
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - begin, contents(out)


def test_killed_ten_times_landmarks_and_alignment_end_with_the_same_files(start, tmp_path):
    folder, found, whole, aligned = (tmp_path / name for name in ('images', 'found', 'whole', 'aligned'))
    write_blobs(folder, 320)
    (folder / 'a' / 'broken.png').write_bytes(b'no image')
    start(time.time).join()  # the imports are not part of what is timed
    detect = partial(extract_landmarks, str(folder), detector=RED_BLOB | dict(seconds=0.0015))

    seconds, expected = undisturbed(start, partial(detect, out=str(whole / 'l.npz')), whole)
    assert set(expected) == {'l.npz', 'l_failures.csv', 'l_worst.png'}
    assert killed(start, partial(detect, out=str(found / 'l.npz')), seconds, found, expected) == expected

    seconds, expected = undisturbed(start, partial(align_folder, folder, whole / 'l.npz', aligned), aligned)
    assert len(expected) == 320 + 3
    again = tmp_path / 'again'
    assert killed(start, partial(align_folder, folder, whole / 'l.npz', again), seconds, again, expected) == expected


def children(pid: int) -> list[int]:
    text = ' '.join(path.read_text() for path in Path(f'/proc/{pid}/task').glob('*/children'))
    return [int(word) for word in text.split()]


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='looks for processes in /proc')
def test_several_processes_find_the_same_and_none_outlives_a_kill(start, tmp_path):
    folder, one, two = (tmp_path / name for name in ('images', 'one', 'two'))
    write_blobs(folder, 300)
    detect = partial(extract_landmarks, str(folder), detector=RED_BLOB | dict(seconds=0.002))
    _, expected = undisturbed(start, partial(detect, out=str(one / 'l.npz')), one)

    process = start(partial(detect, out=str(two / 'l.npz'), jobs=2))
    while len(list(two.glob('l.npz.progress/*.npz'))) < 3 and process.exitcode is None:
        time.sleep(0.002)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(workers) >= 2
    deadline = time.monotonic() + 60
    while any(Path(f'/proc/{worker}').exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [worker for worker in workers if Path(f'/proc/{worker}').exists()]
    _, resumed = undisturbed(start, partial(detect, out=str(two / 'l.npz')), two)
    assert resumed == expected
