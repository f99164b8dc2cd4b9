"""Several processes of one run on machines without a GPU."""

import atexit
import logging
import os
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from mmfer.registry import MODEL_WRAPPERS


# Symptom: `tools/dist_train.sh CONFIG 2` on CPUs stops with `Found no NVIDIA driver`: mmengine's launchers call
# `torch.cuda.set_device`, whatever the backend. The runner starts no process group where one is running, so ours is
# started first. No thread upstream. Delete when mmengine.dist.init_dist works without a GPU.
def start_gloo(launcher: str, dist_cfg: Mapping[str, Any]) -> None:
    """Starts the process group that mmengine's launchers would start for GPUs.

    Args:
        launcher: What started this process.
        dist_cfg: Of the config's ``env_cfg``; its ``timeout`` in seconds is used.

    Raises:
        ValueError: The launcher needs a GPU, or its environment is not there.
    """
    if distributed.is_initialized():
        return
    if launcher == 'slurm':
        os.environ.update(slurm_environment())
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


def slurm_environment() -> dict[str, str]:
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
        # By PATH, as where Slurm lies differs from cluster to cluster.
        expand = ['scontrol', 'show', 'hostnames', nodes]
        hosts = subprocess.run(expand, capture_output=True, text=True, check=True)
        address = hosts.stdout.split()[0]
    port = os.environ.get('MASTER_PORT', '29500')
    return dict(RANK=rank, WORLD_SIZE=world_size, LOCAL_RANK=local_rank, MASTER_ADDR=address, MASTER_PORT=port)


# Symptom, once gloo runs: `DistributedDataParallel device_ids ... only support single-device GPU modules`. The runner
# passes `device_ids=[LOCAL_RANK]` unless the config names the key. The other keys are the runner's own defaults.
# No thread upstream. Delete together with `start_gloo`.
def wrap_without_device_ids(cfg: Config) -> None:
    """Names no GPU for DistributedDataParallel."""
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
def drop_sync_bn(cfg: Config) -> None:
    """Leaves ``sync_bn`` out, and warns of what that means."""
    if cfg.get('sync_bn') is None:
        return
    print_log(
        f'sync_bn={cfg.sync_bn!r} is left out: it needs GPUs. Each process normalises by its own share of the batch, '
        'and the running statistics are averaged after each epoch, so results differ from a run on GPUs',
        'current',
        logging.WARNING,
    )
    cfg.sync_bn = None
