"""What mmengine 0.10.7, the last release, needs on today's torch, NumPy and setuptools.

Each entry names its symptom, the thread upstream, and when it can be deleted. `apply` holds the entries that are true
of the process (run at `import mmfer`), `prepare` those that depend on a config and a launcher (run before the runner
is built). On machines with a GPU `prepare` changes nothing.
"""

import atexit
import importlib.util
import logging
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.fileio import file_client
from mmengine.logging import HistoryBuffer, print_log
from mmengine.optim import OptimWrapper
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mmfer.registry import MODEL_WRAPPERS, OPTIM_WRAPPERS
from mmfer.shipped import PREFIX, find_config

__all__ = ['CPUAmpOptimWrapper', 'apply', 'prepare']


def apply() -> None:
    """Applies the entries that need no config. Calling it again does nothing new."""
    _check_opencv()
    _allow_checkpoint_types()
    _find_packages_without_pkg_resources()
    _find_shipped_configs()
    _silence_warnings_about_others()
    _silence_file_client()


def prepare(cfg: Config, launcher: str = 'none') -> Config:
    """Makes a config run on this machine; call it before `Runner.from_cfg`.

    Args:
        cfg: The config of the run. It is changed in place.
        launcher: What started this process: 'none', 'pytorch' (torchrun), 'slurm' or 'mpi'.

    Returns:
        The same config.

    Raises:
        ValueError: If the launcher's environment is not there, or a machine has fewer GPUs than processes.
    """
    cfg.launcher = launcher
    if get_device() != 'cpu':
        if launcher != 'none':
            _check_gpu_count(launcher)
        return cfg
    _use_cpu_autocast(cfg)
    if launcher != 'none':
        _start_gloo(launcher, (cfg.get('env_cfg') or {}).get('dist_cfg') or {})
        _wrap_without_device_ids(cfg)
        _drop_sync_bn(cfg)
    return cfg


# Symptom: on a machine without a display's libraries `import cv2` dies with `libGL.so.1: cannot open shared object`.
# mmengine, mmcv-lite and face-alignment all ask for opencv-python, whose wheels (5.0 too) link to libGL and glib;
# opencv-python-headless is the same module without them. See https://github.com/opencv/opencv-python/issues/370.
# Delete when mmengine accepts opencv-python-headless.
def _check_opencv() -> None:
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'OpenCV cannot be imported ({error}): either install the libraries that it misses (on Debian: apt-get '
            'install libgl1 libglib2.0-0), or take the build that needs none: pip uninstall -y opencv-python && '
            'pip install --force-reinstall --no-deps opencv-python-headless'
        ) from error


# Symptom: `--resume` and `load_from` stop with `Weights only load failed ... HistoryBuffer was not an allowed global`.
# torch >= 2.6 unpickles nothing but tensors and plain containers; mmengine's checkpoints hold the message hub, that is
# HistoryBuffers of NumPy arrays and scalars. Both names of NumPy's module: NumPy 1 wrote the checkpoints of OpenMMLab's
# model zoo. Object arrays stay forbidden. A HistoryBuffer also pickles its methods, as calls of `getattr`, which must
# not be allowed as such: a file could reach anything with it. So its name stands for a function that knows those
# methods and nothing else.
# Upstream: https://github.com/open-mmlab/mmengine/issues/1655 and #1670, in no release yet.
# Delete at mmengine > 0.10.7, if its own cure is neither `weights_only=False` nor an allowed `getattr`.
def _allow_checkpoint_types() -> None:
    rebuild_array = np.empty(0).__reduce__()[0]
    rebuild_scalar = np.float64(0).__reduce__()[0]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in '?bhilqBHILQefdgU'},
            *[(rebuild_array, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')],
            *[(rebuild_scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')],
            (_statistic, 'builtins.getattr'),
        ]
    )


def _statistic(owner: object, name: str) -> Callable:
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'Weights only load failed: a checkpoint may not ask for {name!r} of {owner!r}')
    return getattr(HistoryBuffer, name)


# Symptom: `_base_ = 'mmpretrain::...'` and `mmengine.hub` stop with `No module named 'pkg_resources'`; setuptools 82
# took it away. Upstream: https://github.com/open-mmlab/mmengine/pull/1676, merged, in no release.
# Delete at mmengine > 0.10.7.
def _find_packages_without_pkg_resources() -> None:
    if importlib.util.find_spec('pkg_resources') is not None:
        return
    for name in ('mmengine.utils.package_utils', 'mmengine.utils', 'mmengine.config.config', 'mmengine.hub.hub'):
        for function in (_is_installed, _get_installed_path):
            if hasattr(sys.modules.get(name), function.__name__[1:]):
                setattr(sys.modules[name], function.__name__[1:], function)


def _find_module(package: str) -> ModuleSpec | None:
    """Finds the module of a distribution, such as mmseg of mmsegmentation, or a module that is only on the path."""
    with suppress(metadata.PackageNotFoundError):
        package = (metadata.distribution(package).read_text('top_level.txt') or package).split()[0]
    return importlib.util.find_spec(package.replace('-', '_'))


def _is_installed(package: str) -> bool:
    return _find_module(package) is not None


def _get_installed_path(package: str) -> str:
    spec = _find_module(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed: pip install {package}')
    return str(Path(spec.origin).parent)


# Symptom: every run begins with warnings that no user of mmfer can act on: mmcv-lite says that it lacks operators which
# mmpretrain never calls; mmengine passes arguments that torch >= 2.15 and 2.4 want to rename, and uses what Python 3.12
# and 3.13 deprecate; torch's DDP takes the strides of a 1x1 convolution in channels_last, which mean nothing, for a
# loss of speed.
# Delete each when its owner no longer warns.
def _silence_warnings_about_others() -> None:
    for category, message in (
        (UserWarning, 'Fail to import ``MultiScaleDeformableAttention``'),
        (FutureWarning, '`broadcast_buffers` is deprecated'),
        (UserWarning, 'Grad strides do not match bucket view strides'),
        (FutureWarning, r'`torch\.cuda\.amp\.GradScaler\(args\.\.\.\)` is deprecated'),
        (DeprecationWarning, "'pkgutil.find_loader' is deprecated"),
        (DeprecationWarning, "'maxsplit' is passed as positional argument"),
    ):
        warnings.filterwarnings('ignore', message, category)


# Symptom: every training warns that "FileClient" and "HardDiskBackend" will be deprecated; mmengine's CheckpointHook
# uses them, whatever the config says. No thread upstream. Delete when it no longer does.
def _silence_file_client() -> None:
    file_client.print_log = lambda *args, **kwargs: None  # that file says nothing else


# Symptom: `tools/dist_train.sh CONFIG 2` on CPUs stops with `Found no NVIDIA driver`: mmengine's launchers call
# `torch.cuda.set_device`, whatever the backend. The runner starts no process group where one is running, so ours is
# started first. No thread upstream. Delete when mmengine.dist.init_dist works without a GPU.
def _start_gloo(launcher: str, dist_cfg: Mapping) -> None:
    if distributed.is_initialized():
        return
    if launcher == 'slurm':
        os.environ.update(_slurm_environment())
    elif launcher != 'pytorch':
        raise ValueError(f"launcher {launcher!r} needs a GPU; on CPUs use 'pytorch' (tools/dist_train.sh) or 'slurm'")
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR') if name not in os.environ]
    if missing:
        raise ValueError(
            f'launcher {launcher!r} was asked for, but {", ".join(missing)} is not set: '
            'start the run with tools/dist_train.sh CONFIG PROCESSES'
        )
    timeout = dist_cfg.get('timeout')
    distributed.init_process_group('gloo', timeout=None if timeout is None else timedelta(seconds=timeout))
    atexit.register(_stop_gloo)
    print_log(f'No GPU: {distributed.get_world_size()} processes train on CPUs and talk through gloo', 'current')


def _stop_gloo() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _slurm_environment() -> dict[str, str]:
    """The variables that torchrun would set, from those of Slurm; what is already set stays."""
    try:
        rank, world_size = os.environ['SLURM_PROCID'], os.environ['SLURM_NTASKS']
        nodes, local_rank = os.environ['SLURM_NODELIST'], os.environ['SLURM_LOCALID']
    except KeyError as error:
        raise ValueError(
            f"launcher 'slurm' was asked for, but {error.args[0]} is not set: start the run with tools/slurm_train.sh"
        ) from None
    address = os.environ.get('MASTER_ADDR')
    if address is None:
        hosts = subprocess.run(['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True)
        address = hosts.stdout.split()[0]
    port = os.environ.get('MASTER_PORT', '29500')
    return dict(RANK=rank, WORLD_SIZE=world_size, LOCAL_RANK=local_rank, MASTER_ADDR=address, MASTER_PORT=port)


def _check_gpu_count(launcher: str) -> None:
    """Says in words what torch reports as `invalid device ordinal`."""
    local_rank = int(os.environ.get({'slurm': 'SLURM_LOCALID'}.get(launcher, 'LOCAL_RANK'), 0))
    if torch.cuda.is_available() and local_rank >= torch.cuda.device_count():
        raise ValueError(
            f'process {local_rank} of this machine has no GPU: {torch.cuda.device_count()} are visible; '
            'start at most so many processes, or set CUDA_VISIBLE_DEVICES= to train on CPUs'
        )


# Symptom, once gloo runs: `DistributedDataParallel device_ids ... only support single-device GPU modules`. The runner
# passes `device_ids=[LOCAL_RANK]` unless the config names the key. The other keys are the runner's own defaults.
# No thread upstream. Delete together with `_start_gloo`.
def _wrap_without_device_ids(cfg: Config) -> None:
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:
        wrapper = dict(broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.setdefault('type', 'MMDistributedDataParallel')
    if issubclass(MODEL_WRAPPERS.get(wrapper['type']), DistributedDataParallel):
        wrapper.setdefault('device_ids', None)
    cfg.model_wrapper_cfg = wrapper


# Symptom: `SyncBatchNorm expected input tensor to be on GPU`; torch has no CPU kernel for it. mmfer.apis.train averages
# the running statistics instead.
# Upstream: https://github.com/pytorch/pytorch/pull/78078, abandoned. Delete when torch has one.
def _drop_sync_bn(cfg: Config) -> None:
    if cfg.get('sync_bn') is None:
        return
    print_log(
        f'sync_bn={cfg.sync_bn!r} is left out: it needs GPUs. Each process normalises by its own share of the batch, '
        'and the running statistics are averaged after each epoch, so results differ from a run on GPUs',
        'current',
        logging.WARNING,
    )
    cfg.sync_bn = None


# Symptom: `--amp` stops with the assertion `AmpOptimizerWrapper is only available training on gpu, npu, mlu or musa`.
# Upstream: https://github.com/open-mmlab/mmpretrain/issues/1556. Delete when mmengine's wrapper runs on CPUs.
def _use_cpu_autocast(cfg: Config) -> None:
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') not in ('AmpOptimWrapper', 'mmengine.AmpOptimWrapper'):
        return
    wrapper['type'] = 'mmfer.CPUAmpOptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        wrapper.pop(key, None)
    print_log('No GPU: mixed precision is bfloat16 on the CPU, faster only where the CPU multiplies in it', 'current')


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Mixed precision in bfloat16 on the CPU; no loss scale, as bfloat16 has float32's range.

    Its checkpoints resume in mmengine's `AmpOptimWrapper` on a GPU, and the other way round.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Casts the forward pass of a training step.

        Args:
            model: The model, for gradient accumulation without synchronisation.
        """
        with super().optim_context(model), torch.autocast('cpu', dtype=torch.bfloat16):
            yield


# Symptom: `_base_ = 'mmfer::lanet/r18_rafdb.py'` stops with `mmengine does not support to load mmfer config`: only
# OpenMMLab's own packages are on its list. No thread upstream. Delete when other packages can be.
def _find_shipped_configs() -> None:
    theirs = Config._get_cfg_path
    if getattr(theirs, 'finds_mmfer', False):
        return

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if not cfg_path.startswith(PREFIX):
            return theirs(cfg_path, filename)
        found = find_config(cfg_path)
        if not found.is_file():
            raise FileNotFoundError(f'{filename} builds on {cfg_path}, which mmfer lacks; `mmfer configs` lists all')
        return str(found), None

    get_cfg_path.finds_mmfer = True
    Config._get_cfg_path = staticmethod(get_cfg_path)
