"""What a config says of `compile`, and whether this machine can: seen before anything is built."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from mmfer.engine.checks.structure import check_known
from mmfer.structures.naming import did_you_mean

_SETTINGS = ('backend', 'mode', 'dynamic', 'fullgraph', 'options')


def check_compile(cfg: Config) -> None:
    """What is asked of `torch.compile` is something that it does, with tools that are there.

    Raises:
        ValueError: It is not, or they are not.
    """
    asked = cfg.get('compile')
    if asked is None or asked is False:
        return
    if asked is not True and not isinstance(asked, Mapping):
        raise ValueError(
            f'compile must be True, False, or settings of torch.compile, got {asked!r}: on the command line '
            'compile=True or compile.backend=inductor'
        )
    settings = {} if asked is True else dict(asked)
    check_known(settings, _SETTINGS, 'compile')
    backend, known = settings.get('backend', 'inductor'), torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        near = did_you_mean(str(backend), known, "'")
        usual = ', '.join(torch.compiler.list_backends())  # the others are for looking for faults
        raise ValueError(f'compile.backend={backend!r} is none of torch{near} (it has {usual}, and others for tests)')
    try:
        torch.compile(nn.Identity(), **settings)  # compiles nothing yet
    except Exception as error:  # of whatever kind: torch says what is wrong with a mode or an option
        raise ValueError(f'compile={settings} is not what torch.compile takes: {error}') from None
    missing = missing_tool(get_device()) if backend == 'inductor' else None
    if missing is not None:
        raise ValueError(f'compile: {missing}, or train without compile')


def missing_tool(device: str) -> str | None:
    """What this machine lacks to make kernels for a device, with how to get it; None where all is there."""
    if device == 'cpu':
        compiler, variable, package = os.environ.get('CXX') or _usual_compiler(), 'CXX', 'g++'
    else:
        if importlib.util.find_spec('triton') is None:
            return 'kernels for GPUs are made by triton, which is not here: pip install triton'
        usual = next((name for name in ('gcc', 'clang', 'cc') if shutil.which(name)), 'gcc')
        compiler, variable, package = os.environ.get('CC') or usual, 'CC', 'gcc'
    if shutil.which(compiler) is None:
        return (
            f'kernels are made by a compiler, and there is no {compiler} here: install one (on Debian and Ubuntu: '
            f'apt-get install {package}), or name another with the variable {variable}'
        )
    headers = Path(sysconfig.get_path('include'))
    if not (headers / 'Python.h').is_file():
        return (
            f'kernels are made with the headers of Python, which are not in {headers}: install them (on Debian and '
            'Ubuntu: apt-get install python3-dev)'
        )
    return None


def _usual_compiler() -> str:
    """The one that torch looks for."""
    return {'darwin': 'clang++', 'win32': 'cl'}.get(sys.platform, 'g++')
