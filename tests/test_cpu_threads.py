"""What a run on CPUs chooses by itself, and what it says of it."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from mmfer.compat import cpu_autocast, cpu_threads
from mmfer.compat.cpu_autocast import use_cpu_autocast
from mmfer.compat.cpu_threads import limit_threads
from mmfer.engine import run_summary
from mmfer.engine.run_summary import _device


@pytest.fixture
def said(monkeypatch):
    sentences = []
    for module in (cpu_threads, cpu_autocast):
        monkeypatch.setattr(module, 'print_log', lambda text, *_, **__: sentences.append(text))
    return sentences


@pytest.mark.parametrize(('cores', 'processes', 'threads'), [(64, 1, 3), (3, 1, 3), (2, 1, 2), (4, 2, 2), (2, 4, 1)])
def test_no_thread_is_without_a_core_and_none_is_added(monkeypatch, said, cores, processes, threads):
    monkeypatch.setattr(cpu_threads, 'usable_cores', lambda: cores)
    monkeypatch.setattr(cpu_threads.os, 'cpu_count', lambda: 64)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))
    torch.set_num_threads(3)
    limit_threads()
    assert torch.get_num_threads() == threads
    told = f'torch computes with {threads} threads, not 3: this process may use {threads} of the 64 cores, and threads'
    assert said == [] if threads == 3 else said[0].startswith(told)


SPEED = {
    'amx_bf16': 'which multiplies in it (amx_bf16)',
    '': 'which does not multiply in it: slower than without',
    None: 'faster only if it multiplies in it',
}


@pytest.mark.parametrize('flag', SPEED)
def test_mixed_precision_says_whether_it_is_worth_it(monkeypatch, said, flag):
    monkeypatch.setattr(cpu_autocast, 'bfloat16_flag', lambda: flag)
    use_cpu_autocast(Config(dict(optim_wrapper=dict(type='AmpOptimWrapper'))))
    assert said == [f'No GPU: mixed precision is bfloat16 on the CPU, {SPEED[flag]}']


@pytest.mark.parametrize('flag', SPEED)
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'mmfer.CPUAmpOptimWrapper'])
def test_a_run_says_its_threads_and_what_would_be_faster(monkeypatch, flag, wrapper):
    monkeypatch.setattr(run_summary, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(run_summary, 'bfloat16_flag', lambda: flag)
    lines = list(_device(SimpleNamespace(cfg=dict(optim_wrapper=dict(type=wrapper)))))
    mixed = wrapper != 'OptimWrapper'
    assert lines[0] == f'1 process on cpu with 1 thread, {"mixed precision (bfloat16)" if mixed else "float32"}'
    hint = 'with --amp it would multiply in bfloat16, which this CPU does faster (amx_bf16); results differ a little'
    assert lines[1:] == ([hint] if flag and not mixed else [])
