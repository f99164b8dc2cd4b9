"""What `compile` may be in a config, and what a machine needs for it."""

import shutil

import pytest
from mmengine.config import Config

from mmfer.engine.checks import compilation
from mmfer.engine.checks.compilation import check_compile, missing_tool


@pytest.mark.parametrize('asked', [None, False, {'backend': 'eager'}, {'backend': 'aot_eager', 'dynamic': False}])
def test_what_torch_takes_is_taken(asked):
    check_compile(Config(dict(compile=asked)))
    check_compile(Config())


@pytest.mark.parametrize(
    ('asked', 'sentence'),
    [
        ('inductor', "compile must be True, False, or settings of torch.compile, got 'inductor': on the command line "
         'compile=True or compile.backend=inductor'),
        (1, 'compile must be True, False, or settings of torch.compile, got 1'),
        ({'bakend': 'eager'}, "compile has no setting 'bakend'; did you mean 'backend'?"),
        ({'backend': 'inducter'}, "compile.backend='inducter' is none of torch; did you mean 'inductor'?"),
        ({'mode': 'fast'}, "compile={'mode': 'fast'} is not what torch.compile takes: Unrecognized mode=fast"),
    ],
)  # fmt: skip
def test_what_torch_does_not_take_is_refused(asked, sentence):
    with pytest.raises(ValueError, match='^compile') as refused:
        check_compile(Config(dict(compile=asked)))
    assert str(refused.value).startswith(sentence)


def test_a_machine_without_a_compiler_is_told_so(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(ValueError, match='compile') as refused:
        check_compile(Config(dict(compile=True)))
    assert str(refused.value) == (
        'compile: kernels are made by a compiler, and there is no no-such-compiler here: install one (on Debian and '
        'Ubuntu: apt-get install g++), or name another with the variable CXX, or train without compile'
    )
    check_compile(Config(dict(compile=dict(backend='aot_eager'))))  # makes no kernels


def test_a_machine_without_the_headers_of_python_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, 'which', lambda name: name)
    monkeypatch.setattr(compilation.sysconfig, 'get_path', lambda name: str(tmp_path))
    assert missing_tool('cpu') == (
        f'kernels are made with the headers of Python, which are not in {tmp_path}: install them (on Debian and '
        'Ubuntu: apt-get install python3-dev)'
    )
    (tmp_path / 'Python.h').touch()
    assert missing_tool('cpu') is None


def test_a_gpu_needs_triton_and_a_compiler_of_c(monkeypatch):
    monkeypatch.setattr(compilation.importlib.util, 'find_spec', lambda name: None)
    assert missing_tool('cuda') == 'kernels for GPUs are made by triton, which is not here: pip install triton'
    monkeypatch.undo()
    monkeypatch.setattr(compilation.importlib.util, 'find_spec', lambda name: name)
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    monkeypatch.delenv('CC', raising=False)
    assert 'there is no gcc here: install one (on Debian and Ubuntu: apt-get install gcc)' in missing_tool('cuda')
