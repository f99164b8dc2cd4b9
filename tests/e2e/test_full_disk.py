"""Disks that are full or may not be written to, and users that have no home: a sentence, and nothing is lost."""

import errno
import io
import logging
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.clone import NARROW, tiny
from e2e.resumed import SMALL, content, differences

from mmfer.apis.errors import sentence_of
from mmfer.engine.terminal import outlast_a_full_disk
from mmfer.structures.tensor_file import read_tensor_file

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/baseline/r18_rafdb_96px_12e.py'
VALUES = tiny(CONFIG) | SMALL | NARROW | {'train_cfg.max_epochs': 2}
del VALUES['default_hooks.checkpoint.max_keep_ckpts']
RUN = {'config': CONFIG, 'values': VALUES}


@contextmanager
def disk(folder: Path, options: str):
    """A file system of its own; only root may, and not in every container."""
    folder.mkdir()
    made = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip('no file system can be mounted here')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(['mount', '-o', f'remount,{options}', str(folder)], check=True)


def last_line(capsys) -> str:
    return [line for line in capsys.readouterr().err.splitlines() if line][-1]


@pytest.mark.parametrize(('size', 'kept'), [('1m', []), ('3m', ['epoch_1.pth'])])
def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on_with_room(size, kept, command, capsys, tmp_path):
    command(tmp_path / 'whole', **RUN)
    capsys.readouterr()
    with disk(tmp_path / 'disk', f'size={size}') as small:
        with pytest.raises(SystemExit) as end:
            command(small / 'run', **RUN)
        assert end.value.code == 1
        said = [line for line in capsys.readouterr().err.splitlines() if line]
        name = f'{small}/run/epoch_{len(kept) + 1}.pth'
        assert said[-1].startswith(
            f'mmfer: error: there is no room for {name} (No space left on device): make some (df'
        )
        assert 'mmfer: there is no room on the disk; to go on: ' in said[-2]
        assert not any('Traceback' in line for line in said)
        assert sorted(path.name for path in (small / 'run').glob('*.pth')) == kept
        for path in (small / 'run').glob('*.pth'):
            read_tensor_file(path)
        remount(small, 'size=100m')
        command(small / 'run', '--resume', 'auto', **RUN)
        assert differences(content(small / 'run' / 'epoch_2.pth'), content(tmp_path / 'whole' / 'epoch_2.pth')) == []


def test_a_folder_that_may_not_be_written_to_is_named(command, capsys, tmp_path):
    with disk(tmp_path / 'disk', 'size=1m,ro') as fixed:
        with pytest.raises(SystemExit) as end:
            command(fixed / 'run', **RUN)
        assert end.value.code == 1
        assert last_line(capsys).startswith(
            f'mmfer: error: {fixed}/run cannot be written (Read-only file system): name a folder that can be written to'
        )


@pytest.mark.parametrize(
    ('number', 'says'),
    [
        (errno.EDQUOT, r'there is no room for a/x.pth (Disk quota exceeded): make some (df -h a shows how much'),
        (errno.EACCES, 'a/x.pth cannot be used (Permission denied): let its owner or chmod permit it'),
        (errno.EIO, 'a/x.pth: Input/output error'),
    ],
)
def test_what_the_system_says_becomes_a_sentence_with_the_file(number, says):
    assert sentence_of(OSError(number, os.strerror(number), 'a/x.pth')).startswith(says)


class Full(io.StringIO):
    """A file for which there is no room."""

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_that_cannot_be_written_is_said_once(tmp_path, capsys):
    logger, handler = logging.Logger('log'), logging.FileHandler(tmp_path / 'x.log')
    handler.stream.close()
    handler.stream = Full()
    logger.addHandler(handler)
    outlast_a_full_disk(logger)
    for _ in range(3):
        logger.warning('a line')
    said = capsys.readouterr().err
    assert said.startswith(
        f'mmfer: warning: the log {tmp_path}/x.log cannot be written to any more: [Errno 28] No space'
    )
    assert said.count('\n') == 1


@pytest.mark.parametrize('home', [{}, {'HOME': '/nonexistent'}])
def test_users_without_a_home_or_a_name_can_import_and_cache(home):
    """A whole run does, too; here what asked for either."""
    other = ['setpriv', '--reuid', '12345', '--regid', '12345', '--clear-groups', sys.executable]
    if not shutil.which('setpriv') or subprocess.run([*other, '-c', ''], capture_output=True).returncode:
        pytest.skip('nobody else can be asked to run this Python')
    asks = (
        'import mmfer, getpass, torch, matplotlib.pyplot, pathlib, sys\n'
        'from mmfer.datasets.reading.column_cache import cached_columns\n'
        'import mmfer.apis\n'
        'from numpy import array\n'
        'made = cached_columns(sys.argv[1], lambda: dict(name=array(["a"]), label=array([1])))\n'
        'print(getpass.getuser(), pathlib.Path.home(), made["label"])'
    )
    done = subprocess.run(
        [*other, '-W', 'ignore', '-c', asks, '/etc/hostname'],
        env={'PATH': os.environ['PATH'], 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **home},
        cwd='/',
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    user, place, label = done.stdout.splitlines()[-1].split(maxsplit=2)
    assert (user, label) == ('user12345', '[1]')
    assert place == home.get('HOME', place)
    assert home or (place.startswith('/tmp/mmfer-home-') and not Path(place).exists())
