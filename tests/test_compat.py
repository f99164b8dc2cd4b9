"""Every entry of mmfer.compat against the real mmengine: the symptom without it, the cure with it."""

import io
import os
import pickle
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.config import config as mmengine_config
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from torch import distributed, nn
from torch.utils.data import TensorDataset

from mmfer import compat
from mmfer.compat import cpu_processes
from mmfer.registry import OPTIM_WRAPPERS

ROOT = Path(__file__).parents[1]


LOADER = dict(sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='default_collate'))


class Line(BaseModel):
    """y = a x + b, a squared error."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 1)
        self.seen_dtype = None

    def forward(self, x, y, mode='loss'):
        prediction = self.line(x)
        self.seen_dtype = prediction.dtype
        return dict(loss=(prediction.float() - y).square().mean()) if mode == 'loss' else prediction


def points():
    x = torch.linspace(-1, 1, 8)[:, None]
    return TensorDataset(x, 3 * x + 1)


def tiny_config(work_dir, **kwargs):
    config = dict(
        work_dir=str(work_dir),
        train_dataloader=dict(dataset=points(), batch_size=4, **LOADER),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=dict(type='StepLR', step_size=1, gamma=0.5),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', interval=1),
        ),
        randomness=dict(seed=0),
        log_level='WARNING',
        default_scope='mmengine',
    )
    return config | kwargs


def run(work_dir, **kwargs):
    torch.manual_seed(0)
    runner = Runner(model=Line(), **tiny_config(work_dir, **kwargs))
    runner.train()
    return runner


@pytest.fixture
def without_allow_list():
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


def test_a_real_checkpoint_resumes_and_ends_like_a_run_without_a_break(tmp_path):
    four_epochs = dict(by_epoch=True, max_epochs=4)
    whole = run(tmp_path / 'whole', train_cfg=four_epochs)
    middle = str(tmp_path / 'whole' / 'epoch_2.pth')
    resumed = run(tmp_path / 'resumed', train_cfg=four_epochs, load_from=middle, resume=True)
    assert resumed.epoch == whole.epoch == 4
    assert resumed.iter == 8
    assert torch.equal(resumed.model.line.weight, whole.model.line.weight)
    assert torch.equal(resumed.model.line.bias, whole.model.line.bias)
    losses, expected = (r.message_hub.get_scalar('train/loss')._log_history for r in (resumed, whole))
    assert len(expected) == 8
    np.testing.assert_array_equal(losses, expected)


def test_the_config_in_a_checkpoint_is_not_run_when_it_is_resumed(tmp_path):
    run(tmp_path)
    content = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    evil = f"import pathlib\npathlib.Path('{tmp_path}/evil').touch()\ngpu_ids = [0]"
    content['meta'] |= dict(config=evil, cfg=evil)
    torch.save(content, tmp_path / 'other.pth')
    more = dict(train_cfg=dict(by_epoch=True, max_epochs=3), load_from=str(tmp_path / 'other.pth'), resume=True)
    assert run(tmp_path / 'resumed', **more).epoch == 3
    assert not (tmp_path / 'evil').exists()


def test_without_the_allow_list_the_same_checkpoint_does_not_load(tmp_path, without_allow_list):
    run(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        torch.load(tmp_path / 'epoch_2.pth')
    compat.apply()
    checkpoint = torch.load(tmp_path / 'epoch_2.pth')
    assert checkpoint['meta']['epoch'] == 2
    assert checkpoint['message_hub']['log_scalars']['train/loss']._log_history.shape == (4,)


@pytest.mark.parametrize('dtype', ['?', 'i1', 'u1', 'i8', 'f2', 'f4', 'f8', 'U5'])
def test_arrays_scalars_and_history_buffers_survive_a_checkpoint(dtype):
    array = np.array([0, 1, 1]).astype(dtype)
    history = HistoryBuffer([1.5, 2.5], [1, 2])
    loaded = through_a_file(dict(array=array, scalar=array[1], history=history))
    assert loaded['array'].dtype == array.dtype
    np.testing.assert_array_equal(loaded['array'], array)
    assert type(loaded['scalar']) is type(array[1])
    assert loaded['scalar'] == array[1]
    assert loaded['history'].mean() == pytest.approx((1.5 + 2.5) / (1 + 2))
    assert loaded['history'].statistics('max') == 2.5


def test_checkpoints_written_with_numpy_1_load():
    """NumPy 2 renamed numpy.core to numpy._core; the model zoo's checkpoints have the old name."""
    stored = io.BytesIO()
    torch.save(dict(array=np.arange(3.0), scalar=np.float32(2)), stored)
    old = io.BytesIO()
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(old, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith('data.pkl'):
                assert content.count(b'numpy._core.multiarray') == 2
                content = content.replace(b'numpy._core.multiarray', b'numpy.core.multiarray')
            target.writestr(name, content)
    old.seek(0)
    loaded = torch.load(old)
    np.testing.assert_array_equal(loaded['array'], [0, 1, 2])
    assert loaded['scalar'] == 2


class Forbidden:
    pass


class AsksForGlobals:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.mark.parametrize('value', [Forbidden(), np.array([Forbidden()], dtype=object), os.getcwd, AsksForGlobals()])
def test_other_types_stay_forbidden(value):
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        through_a_file(value)


def through_a_file(value):
    stored = io.BytesIO()
    torch.save(value, stored)
    stored.seek(0)
    return torch.load(stored)


def test_applying_twice_adds_nothing():
    compat.apply()
    before = set(torch.serialization.get_safe_globals())
    compat.apply()
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_config_is_formatted_once_until_it_changes(monkeypatch):
    formatted = []
    monkeypatch.setattr(mmengine_config, 'FormatCode', lambda text, **_: (formatted.append(text) or text, False))
    compat.apply()
    cfg = Config(dict(a=1))
    assert cfg.pretty_text == cfg.pretty_text == 'a=1'
    assert len(formatted) == 1
    cfg.a = 2
    assert cfg.pretty_text == 'a=2'
    assert len(formatted) == 2


def test_configs_may_stand_on_those_of_an_installed_package(tmp_path):
    (tmp_path / 'child.py').write_text(
        "_base_ = 'mmpretrain::_base_/models/resnet18.py'\nmodel = dict(head=dict(num_classes=7))"
    )
    config = Config.fromfile(tmp_path / 'child.py')
    assert config.model.head.num_classes == 7
    assert config.model.backbone.depth == 18


def test_a_config_of_a_package_that_is_not_there_names_the_package(tmp_path):
    (tmp_path / 'child.py').write_text("_base_ = 'mmseg::_base_/default_runtime.py'")
    with pytest.raises(ModuleNotFoundError, match='mmsegmentation is not installed'):
        Config.fromfile(tmp_path / 'child.py')


def test_opencv_without_its_libraries_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv2', None)
    with pytest.raises(ImportError, match=r'OpenCV cannot be imported .* opencv-python-headless'):
        compat.apply()


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setattr(compat, 'get_device', lambda: 'cpu')


def test_one_process_on_a_cpu_needs_nothing(cpu):
    config = dict(sync_bn='torch', optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)))
    prepared = compat.prepare(Config(config), 'none')
    assert prepared.to_dict() == config | dict(launcher='none')


def test_a_machine_with_gpus_is_left_alone(monkeypatch):
    monkeypatch.setattr(compat, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setenv('LOCAL_RANK', '1')
    config = dict(sync_bn='torch', optim_wrapper=dict(type='AmpOptimWrapper', loss_scale='dynamic'))
    assert compat.prepare(Config(config), 'pytorch').to_dict() == config | dict(launcher='pytorch')
    monkeypatch.setenv('LOCAL_RANK', '2')
    with pytest.raises(ValueError, match='process 2 of this machine has no GPU: 2 are visible'):
        compat.prepare(Config(config), 'pytorch')


@pytest.mark.parametrize(
    ('launcher', 'named'),
    [('pytorch', 'RANK.*dist_train.sh'), ('slurm', 'SLURM_PROCID.*slurm_train.sh'), ('mpi', 'mpi.*pytorch')],
)
def test_a_launcher_without_its_environment_says_how_to_start(cpu, monkeypatch, launcher, named):
    for name in list(os.environ):
        if name.startswith('SLURM_') or name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR'):
            monkeypatch.delenv(name)
    with pytest.raises(ValueError, match=named):
        compat.prepare(Config(), launcher)


def test_slurm_variables_become_those_of_torchrun(monkeypatch, tmp_path):
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && printf "node3\\nnode4\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    for name, value in dict(PROCID=5, NTASKS=8, LOCALID=1, NODELIST='node[3-4]').items():
        monkeypatch.setenv(f'SLURM_{name}', str(value))
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    monkeypatch.setenv('MASTER_PORT', '23456')
    expected = dict(RANK='5', WORLD_SIZE='8', LOCAL_RANK='1', MASTER_ADDR='node3', MASTER_PORT='23456')
    assert cpu_processes.slurm_environment() == expected


def test_a_slurm_task_without_a_gpu_joins_through_gloo(cpu, monkeypatch):
    for name, value in dict(PROCID=0, NTASKS=1, LOCALID=0, NODELIST='here').items():
        monkeypatch.setenv(f'SLURM_{name}', str(value))
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', str(free_port()))
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):  # prepare sets them; restored after the test
        monkeypatch.setenv(name, '7')
    config = compat.prepare(Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60)))), 'slurm')
    try:
        assert (distributed.get_backend(), distributed.get_world_size()) == ('gloo', 1)
        assert config.model_wrapper_cfg.device_ids is None
    finally:
        distributed.destroy_process_group()


def test_two_cpu_processes_train_as_one_with_the_whole_batch(tmp_path):
    """No GPU, mmengine's default wrapper and sync_bn in the config: both ranks end on the weights of one process."""
    script = tmp_path / 'train.py'
    script.write_text(TWO_PROCESSES.format(tests=str(Path(__file__).parent), work_dir=str(tmp_path / 'two')))
    environment = os.environ | dict(CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')
    environment |= dict(PYTHONPATH=str(ROOT), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()), WORLD_SIZE='2')
    ranks = [
        subprocess.Popen(
            [sys.executable, '-W', 'error::UserWarning', str(script)],
            env=environment | dict(RANK=str(rank), LOCAL_RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], '\n'.join(outputs)
    assert 'gloo' in outputs[0]
    assert "sync_bn='torch' is left out" in outputs[0]
    assert not any('Warning:' in output for output in outputs), '\n'.join(outputs)

    one = run(tmp_path / 'one').model
    for rank in range(2):
        state = torch.load(tmp_path / 'two' / f'rank{rank}.pth')
        torch.testing.assert_close(state['line.weight'], one.line.weight.data, rtol=1e-6, atol=0)
        torch.testing.assert_close(state['line.bias'], one.line.bias.data, rtol=1e-6, atol=0)


TWO_PROCESSES = """
import sys
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import MODELS, DATASETS
from mmengine.runner import Runner

sys.path.insert(0, {tests!r})
from mmfer import compat
from test_compat import LOADER, Line, points, tiny_config

MODELS.register_module(module=Line)
DATASETS.register_module('Points', module=points)
config = tiny_config({work_dir!r}, sync_bn='torch', model=dict(type='Line'))
config['train_dataloader'] = dict(dataset=dict(type='Points'), batch_size=2, **LOADER)
runner = Runner.from_cfg(compat.prepare(Config(config), 'pytorch'))
runner.train()
assert isinstance(runner.model, MMDistributedDataParallel), type(runner.model)
torch.save(runner.model.module.state_dict(), {work_dir!r} + f'/rank{{runner.rank}}.pth')
"""


def free_port():
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def test_a_wrapper_of_the_users_keeps_its_settings(cpu):
    config = Config(dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', static_graph=True)))
    cpu_processes.wrap_without_device_ids(config)
    assert config.model_wrapper_cfg == dict(type='MMDistributedDataParallel', static_graph=True, device_ids=None)


def amp_config(**kwargs):
    return Config(dict(optim_wrapper=dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1), **kwargs)))


@pytest.mark.parametrize('settings', [{}, dict(loss_scale='dynamic', dtype='float16')])
def test_amp_on_a_cpu_computes_in_bfloat16(cpu, tmp_path, settings):
    wrapper = compat.prepare(amp_config(**settings), 'none').optim_wrapper
    assert wrapper == dict(type='mmfer.CPUAmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    runner = run(tmp_path, optim_wrapper=wrapper)
    assert runner.model.seen_dtype == torch.bfloat16
    assert runner.model.line.weight.dtype == torch.float32
    full = run(tmp_path / 'full', optim_wrapper=dict(wrapper, type='OptimWrapper'))
    assert full.model.seen_dtype == torch.float32
    torch.testing.assert_close(runner.model.line.weight, full.model.line.weight, rtol=0.02, atol=0)


def test_amp_accumulates_gradients_as_mmengine_does(cpu, tmp_path):
    wrapper = compat.prepare(amp_config(accumulative_counts=2), 'none').optim_wrapper
    torch.manual_seed(0)
    start = Line()
    runner = run(tmp_path, optim_wrapper=wrapper, train_cfg=dict(by_epoch=True, max_epochs=1))
    assert runner.optim_wrapper._inner_count == 2
    assert not torch.equal(runner.model.line.weight, start.line.weight)


def test_amp_checkpoints_move_between_gpu_and_cpu():
    """A GPU's checkpoint carries a loss scale that bfloat16 does not need; the CPU's carries none."""
    model = Line()
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='mmfer.CPUAmpOptimWrapper', optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    )
    assert isinstance(wrapper, OptimWrapper)
    assert not isinstance(wrapper, AmpOptimWrapper)
    from_gpu = wrapper.state_dict() | dict(loss_scaler=dict(scale=65536.0, _growth_tracker=0))
    from_gpu['param_groups'][0]['lr'] = 0.025
    wrapper.load_state_dict(from_gpu)
    assert wrapper.get_lr()['lr'] == [0.025]
    assert 'loss_scaler' not in wrapper.state_dict()


@pytest.mark.parametrize('base', ['mmfer::lanet/r18_rafdb.py', 'mmfer::_base_/models/resnet18.py'])
def test_a_config_builds_on_one_that_is_shipped(base, tmp_path):
    (tmp_path / 'mine.py').write_text(f"_base_ = '{base}'\nmodel = dict(pretrained=None)\n")
    cfg = Config.fromfile(tmp_path / 'mine.py')
    expected = Config.fromfile(ROOT / 'configs' / base.removeprefix('mmfer::'))
    assert cfg.model.to_dict() == {**expected.model.to_dict(), 'pretrained': None}


def test_a_base_that_is_not_shipped_is_named(tmp_path):
    (tmp_path / 'mine.py').write_text("_base_ = 'mmfer::lanet/r18_rafd.py'\n")
    with pytest.raises(FileNotFoundError, match=r'mine.py builds on mmfer::lanet/r18_rafd.py, which mmfer lacks'):
        Config.fromfile(tmp_path / 'mine.py')


def test_saving_a_checkpoint_does_not_warn_of_mmengines_own_deprecations(tmp_path, capsys):
    run(tmp_path)
    assert list(tmp_path.glob('epoch_*.pth'))
    assert 'deprecated' not in capsys.readouterr().out
