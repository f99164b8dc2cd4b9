"""What people see of a run: its start in a dozen lines, a bar on a terminal, plain lines elsewhere."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest
from e2e.clone import NARROW, ROOT, options, tiny
from mmengine.hooks import Hook

from mmfer.registry import HOOKS

SYNTHFACES = 'configs/lanet/r18_synthfaces.py'
DUMPS = ('System environment:', 'INFO - Config:\n', 'Hooks will be executed in the following order:\nbefore_run')
WARNING = 'num_neighbours=8 of LabelDistributionEstimation, but a face has 7 others in its batch of 8'


@HOOKS.register_module()
class Interrupting(Hook):
    """Warns in two ways after a step; after a later one Ctrl-C comes."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 2:
            runner.logger.warning('said in mid-epoch')
            warnings.warn('a library says this', UserWarning, stacklevel=1)
        if batch_idx == 4:
            raise KeyboardInterrupt


@contextmanager
def terminal(monkeypatch) -> Iterator[Callable[[], list[str]]]:
    """A terminal of 100 x 30 as output and error output; at its end, what is then on each of its lines and was."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 100, 0, 0))
    seen = bytearray()

    def read() -> None:
        with suppress(OSError):  # the other end is closed
            while data := os.read(ours, 4096):
                seen.extend(data)

    reader = Thread(target=read)
    reader.start()
    with os.fdopen(theirs, 'w') as stream, monkeypatch.context() as patch:
        for name in ('stdout', 'stderr'):
            patch.setattr(sys, name, stream)
        patch.setattr(warnings, 'showwarning', lambda text, *_: print('UserWarning:', text, file=sys.stderr))
        patch.setattr('mmfer.progress._SECONDS_UNSHOWN', 0)
        yield lambda: [line.removesuffix('\r') for line in seen.decode().split('\n')]
    reader.join()
    os.close(ours)


def arguments(config: str, folder, **more) -> list[str]:
    values = {**tiny(config), **NARROW, 'visualizer.vis_backends': [], **more}
    return [config, '--work-dir', str(folder), *options(values)]


@pytest.mark.parametrize('config', [SYNTHFACES, 'configs/lanet/r18_rafdb_96px_12e.py'])
def test_a_start_is_told_in_a_dozen_lines_and_the_log_file_has_everything(config, clone, tmp_path):
    command = [sys.executable, 'tools/train.py', *arguments(config, tmp_path)]
    environment = os.environ | dict(PYTHONPATH=str(ROOT))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
    assert '\r' not in done.stdout
    lines = done.stdout.splitlines()
    first_epoch = next(number for number, line in enumerate(lines) if line.startswith('epoch 1/1  loss '))
    assert first_epoch <= 20
    start = '\n'.join(lines[:first_epoch])
    assert 'FERClassifier of ResNet-18, GlobalAveragePooling, LinearClsHead: 177,167 parameters' in start
    assert '16 faces (surprise ' in start
    assert '9 faces (surprise ' in start
    assert 'lanet: branches landmark, keys; refiners lde; losses heatmap, kl, contrast (weight 0.1)' in start
    assert '1 epoch of 2 batches of 8 faces, Adam with lr 0.001, seed 0' in start
    assert '1 process on ' in start
    assert f'warning: {WARNING}' in start
    (log,) = tmp_path.glob('*/*.log')
    assert f'output     {tmp_path}\nlog        {log}' in start
    text = log.read_text()
    assert all(dump in text and dump not in done.stdout for dump in DUMPS)
    assert WARNING in text
    assert any(line.startswith('epoch 1/1  test: accuracy ') for line in lines)


def test_verbose_shows_what_the_log_file_has(clone, train_tool, tmp_path, capsys):
    train_tool.main([*arguments(SYNTHFACES, tmp_path), '--verbose'])
    shown = capsys.readouterr().out
    assert all(dump in shown for dump in DUMPS)


def test_a_terminal_shows_a_bar_which_nothing_tears(clone, train_tool, tmp_path, monkeypatch):
    more = {'train_dataloader.dataset.num': 96, 'default_hooks.logger.interval': 2, 'train_cfg.max_epochs': 2}
    with terminal(monkeypatch) as written:
        train_tool.main(arguments(SYNTHFACES, tmp_path, **more))
    bars = [bar for line in written() for bar in line.split('\r')[:-1]]
    drawn = re.compile(r'epoch 1/2: .* \d+/12 \[.* [\d.]+batch/s, loss [\d.]+, run 0:00:\d\d left\]')
    assert any(map(drawn.match, bars))
    assert any(bar.startswith('evaluating: ') for bar in bars)
    shown = [line.rpartition('\r')[2] for line in written()]
    assert [line[:16] for line in shown if line.startswith(('epoch', 'Epoch'))] == [
        'epoch 1/2  loss ',
        'epoch 1/2  test:',
        'epoch 2/2  loss ',
        'epoch 2/2  test:',
    ]


@pytest.mark.filterwarnings('default:a library says this')
def test_warnings_and_ctrl_c_in_mid_epoch_leave_whole_lines(clone, train_tool, tmp_path, monkeypatch):
    more = {'train_dataloader.dataset.num': 48, 'default_hooks.interrupting.type': 'mmfer.Interrupting'}
    with terminal(monkeypatch) as written, pytest.raises(SystemExit, match='130'):
        train_tool.main(arguments(SYNTHFACES, tmp_path, **more))
    shown = [line.rpartition('\r')[2] for line in written()]
    assert 'warning: said in mid-epoch' in [re.sub(r'\x1b\[\d+m', '', line) for line in shown]
    assert 'UserWarning: a library says this' in shown
    (interrupted,) = (line for line in shown if 'interrupted' in line)
    assert interrupted.startswith('mmfer: interrupted; to go on: ')
    assert not any(line.startswith('epoch 1/1: ') for line in shown)
