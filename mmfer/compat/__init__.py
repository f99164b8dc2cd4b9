"""What mmengine 0.10.7, the last release, needs on today's torch, NumPy and setuptools.

Each entry names its symptom, the thread upstream, and when it can be deleted. `apply` holds the entries that are true
of the process (run at `import mmfer`), `prepare` those that depend on a config and a launcher (run before the runner
is built). On machines with a GPU `prepare` changes nothing.
"""

import os

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmfer.compat.checkpoint_types import allow_checkpoint_types
from mmfer.compat.cpu_autocast import CPUAmpOptimWrapper, use_cpu_autocast
from mmfer.compat.cpu_processes import drop_sync_bn, start_gloo, wrap_without_device_ids
from mmfer.compat.cpu_threads import limit_threads
from mmfer.compat.external_configs import find_shipped_configs
from mmfer.compat.formatted_once import format_configs_once
from mmfer.compat.installed_packages import find_packages_without_pkg_resources
from mmfer.compat.opencv import check_opencv
from mmfer.compat.quiet import silence_file_client, silence_warnings_about_others
from mmfer.compat.stored_config_text import forget_stored_config_text

__all__ = ['CPUAmpOptimWrapper', 'apply', 'prepare']


def apply() -> None:
    """Applies the entries that need no config. Calling it again does nothing new."""
    check_opencv()
    allow_checkpoint_types()
    find_packages_without_pkg_resources()
    find_shipped_configs()
    forget_stored_config_text()
    format_configs_once()
    silence_warnings_about_others()
    silence_file_client()


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
    limit_threads()
    use_cpu_autocast(cfg)
    if launcher != 'none':
        start_gloo(launcher, (cfg.get('env_cfg') or {}).get('dist_cfg') or {})
        wrap_without_device_ids(cfg)
        drop_sync_bn(cfg)
    return cfg


def _check_gpu_count(launcher: str) -> None:
    """Says in words what torch reports as `invalid device ordinal`."""
    local_rank = int(os.environ.get({'slurm': 'SLURM_LOCALID'}.get(launcher, 'LOCAL_RANK'), 0))
    if torch.cuda.is_available() and local_rank >= torch.cuda.device_count():
        raise ValueError(
            f'process {local_rank} of this machine has no GPU: {torch.cuda.device_count()} are visible; '
            'start at most so many processes, or set CUDA_VISIBLE_DEVICES= to train on CPUs'
        )
