"""What every test stands on: one thread, a fixed seed, and no state of mmengine's left over from another test."""

import ctypes
import gc
import itertools
import os
import sys
from contextlib import suppress

os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')
os.environ['MMFER_CACHE'] = ''  # tests leave nothing in the user's home
# As in an activated environment: commands that are printed say `python`.
os.environ['PATH'] = os.pathsep.join([os.path.dirname(os.path.abspath(sys.executable)), os.environ['PATH']])

import pytest
import torch
from mmengine.config import config as mmengine_config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

import mmfer  # noqa: F401  applies compat
from mmfer.structures.whole_files import written_whole


def pytest_collection_finish() -> None:
    """What is imported by now lives to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='module')
def _give_memory_back():
    """glibc keeps what networks have taken in pieces: without this a process of the whole suite grows to 7 GB."""
    yield
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL('libc.so.6').malloc_trim(0)


@pytest.fixture(autouse=True)
def _one_thread_and_a_fixed_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _forget_mmengine_singletons():
    """A runner leaves its default scope, message hub, logger and visualizer behind as process-wide 'current' ones."""
    managers = (DefaultScope, MessageHub, MMLogger, Visualizer)
    before = [manager._instance_dict.copy() for manager in managers]
    yield
    for manager, instances in zip(managers, before, strict=True):
        for name, instance in list(manager._instance_dict.items()):
            if name not in instances:
                # A logger keeps the log file of its run open.
                for handler in getattr(instance, 'handlers', ()):
                    handler.close()
                del manager._instance_dict[name]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch) -> None:
    """The two pictures at the end of a run are composed and their files written, but nothing is laid out and painted,
    which takes as long as a tiny training. Where pictures are looked at, a fixture of this name takes its place; runs
    in a process of their own draw, too."""

    def write(figure, path) -> None:
        with written_whole(path, 'wb') as stream:
            stream.write(b'a picture')

    for picture in ('confusion', 'learning_curves'):
        monkeypatch.setattr(f'mmfer.visualization.{picture}.write_figure', write)


@pytest.fixture(autouse=True)
def _unformatted_dumps(monkeypatch) -> None:
    """MMEngine formats a run's config, which takes as long as a tiny training."""
    monkeypatch.setattr(mmengine_config, 'FormatCode', lambda text, **_: (text, False))


@pytest.fixture(autouse=True)
def _runners_of_one_second_do_not_share_a_message_hub(monkeypatch):
    """mmengine names the singletons of a runner after the second it was made in."""
    setup_env, number = Runner.setup_env, itertools.count()

    def setup_env_and_number(self, env_cfg):
        setup_env(self, env_cfg)
        self._timestamp += f'_{next(number)}'

    monkeypatch.setattr(Runner, 'setup_env', setup_env_and_number)
