"""On which device a test of this folder runs: on a CPU in `make test`, on a GPU with `pytest -m gpu`."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / 'models'))  # for two_ranks and tiny
on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA')]


@pytest.fixture(params=['cpu', pytest.param('cuda', marks=on_gpu)])
def device(request) -> str:
    """Where the test runs."""
    return request.param


@pytest.fixture(autouse=True)
def _float32_is_float32(monkeypatch):
    """No convolution reads 19 bits of a float32, as GPUs do by default, and no product."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    assert torch.get_float32_matmul_precision() == 'highest'
