"""A run that is told to stop saves within its epoch, and ends, gone on with, bit for bit where it would have ended."""

import signal

import pytest
from e2e.clone import tiny
from e2e.resumed import METHODS, SMALL, WORKERS, content, differences
from mmengine.device import get_device
from mmengine.runner import EpochBasedTrainLoop, ValLoop

from mmfer.engine.interruption import SIGNALS, STOPPED, StopRequest

pytestmark = [
    pytest.mark.skipif(get_device() != 'cpu', reason='GPUs do not add in a fixed order'),
    pytest.mark.filterwarnings('ignore:This process .* is multi-threaded:DeprecationWarning'),
]
LANET = ('configs/lanet/r18_rafdb_96px_12e_sym30.py', METHODS['pal'][1])
EMA = {'custom_hooks': '[dict(type=EMAHook,momentum=0.3)]'}


def stopped(command, folder, monkeypatch, epoch, batch, name='SIGTERM', loop_type=EpochBasedTrainLoop, **run):
    """A run that gets a signal in front of an iteration; its checkpoints then."""
    run_iter, seen = loop_type.run_iter, []

    def with_signal(loop, idx, *args):
        if (loop.runner.epoch, idx) == (epoch, batch) and not seen:
            seen.append(1)
            signal.raise_signal(getattr(signal, name))
        return run_iter(loop, idx, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop_type, 'run_iter', with_signal)
        with pytest.raises(SystemExit) as end:
            command(folder, *run.pop('more', ()), **run)
    assert end.value.code == STOPPED
    return sorted(path.name for path in folder.glob('*.pth'))


@pytest.mark.parametrize('method', ['lanet with workers', 'sna', 'all'])  # what remembers something
def test_an_epoch_that_was_stopped_goes_on_bit_for_bit(method, command, monkeypatch, capsys, tmp_path):
    config, values = METHODS.get(method, LANET)
    values = tiny(config) | SMALL | values | EMA | (WORKERS if 'workers' in method else {})
    del values['default_hooks.checkpoint.max_keep_ckpts']
    run, whole, parts = dict(config=config, values=values), tmp_path / 'whole', tmp_path / 'parts'
    command(whole, **run)
    assert sorted(path.name for path in whole.glob('*.pth')) == ['epoch_3.pth', 'epoch_4.pth']
    # Twice in one epoch: what was kept of it when it was stopped is kept again.
    assert stopped(command, parts, monkeypatch, 1, 0, **run) == ['epoch_1.pth', 'iter_4.pth']
    assert 'stopped by SIGTERM; to go on: ' in capsys.readouterr().err
    again = stopped(command, parts, monkeypatch, 1, 1, more=('--resume',), **run)
    assert again == ['epoch_1.pth', 'iter_5.pth']
    command(parts, '--resume', **run)
    assert sorted(path.name for path in parts.glob('*.pth')) == ['epoch_3.pth', 'epoch_4.pth']
    assert differences(content(parts / 'epoch_4.pth'), content(whole / 'epoch_4.pth')) == []
    for name in ('metrics.json', 'relabels.csv'):
        if (whole / name).exists():
            assert (parts / name).read_text() == (whole / name).read_text()


@pytest.mark.parametrize('name', SIGNALS)
def test_every_signal_of_schedulers_stops_in_the_last_iteration_behind_the_epoch(
    name, command, monkeypatch, capsys, tmp_path
):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    try:
        assert stopped(command, tmp_path, monkeypatch, 0, 2, name) == ['epoch_1.pth']
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert f'stopped by {name}; to go on: ' in capsys.readouterr().err


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest().listening() as request:
            signal.raise_signal(signal.SIGHUP)
            assert request.reason == ''
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            assert request.reason == 'SIGUSR1'
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_run_that_is_evaluated_stops_behind_its_epoch(command, monkeypatch, tmp_path):
    assert stopped(command, tmp_path, monkeypatch, 2, 0, loop_type=ValLoop) == ['epoch_1.pth', 'epoch_2.pth']
