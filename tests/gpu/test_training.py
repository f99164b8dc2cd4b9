"""A training on the device, saved and resumed; and in one process of several, of which it is the only one."""

import shutil
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from gpu.oracle import SameDraws, error
from mmengine.config import config as mmengine_config
from mmengine.runner import Runner, runner
from tiny import total
from torch.nn.parallel import DistributedDataParallel
from two_ranks import LABELS, SETTINGS, batch_at, build

from mmfer.apis import read_config, train
from mmfer.functional.distributed import _SumOverRanks
from mmfer.structures.tensor_file import read_tensor_file

CONFIG = Path(__file__).parents[2] / 'configs/lanet/r18_synthfaces.py'
TINY = {
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 2,
    'train_dataloader.batch_size': 8,
    'train_dataloader.dataset.num': 16,
    'val_dataloader.dataset.num': 7,
    'data_preprocessor.size': 32,
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.head.in_channels': 64,
    'model.supervision.lanet.branches.keys.queue_size': 20,
    'default_hooks.protocol': None,
}
RESUMED = {'cpu': 0.0, 'cuda': 0.05}
"""How far a resumed run may end from an undisturbed one, as a share of the way that both went in the last epoch. GPUs
do not add in a fixed order, and Adam makes steps of one length of gradients of any."""


@pytest.fixture
def run(device, monkeypatch):
    """Trains LA-Net in small in a folder; the runner at its end."""
    monkeypatch.setattr(runner, 'get_device', lambda: device)
    monkeypatch.setattr(mmengine_config, 'FormatCode', lambda text, **_: (text, False))

    def in_folder(folder: Path, **values) -> Runner:
        cfg = read_config(CONFIG, TINY | values, folder)
        cfg.train_dataloader.dataset.cache_dir = cfg.val_dataloader.dataset.cache_dir = None
        return train(cfg)

    return in_folder


def weights(checkpoint: Path) -> torch.Tensor:
    state = read_tensor_file(checkpoint)['state_dict']
    return torch.cat([value.flatten().double() for value in state.values()])


def test_a_resumed_run_ends_where_an_undisturbed_one_ends(run, device, tmp_path):
    whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
    assert next(run(whole).model.parameters()).device.type == device
    resumed.mkdir()
    shutil.copy(whole / 'epoch_1.pth', resumed)
    (resumed / 'last_checkpoint').write_text(str(resumed / 'epoch_1.pth'))
    assert run(resumed, resume=True).iter == 4
    before, end, again = (
        weights(path) for path in (whole / 'epoch_1.pth', whole / 'epoch_2.pth', resumed / 'epoch_2.pth')
    )
    assert error(end, before) > 1e-3  # it moved
    assert (again - end).norm() <= RESUMED[device] * (end - before).norm()
    banks = [read_tensor_file(folder / 'epoch_2.pth')['sample_bank']['columns'] for folder in (whole, resumed)]
    for name, rows in banks[0].items():
        torch.testing.assert_close(banks[1][name], rows, rtol=0, atol=RESUMED[device])


@pytest.fixture
def one_rank(device, tmp_path):
    """A process group of this process alone, over NCCL on GPUs."""
    backend = 'nccl' if device == 'cuda' else 'gloo'
    dist.init_process_group(backend, init_method=f'file://{tmp_path}/meet', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures('one_rank')
@pytest.mark.filterwarnings('ignore:Grad strides do not match bucket view strides')
@pytest.mark.parametrize('name', ['lanet', 'all'])
def test_one_rank_of_a_process_group_trains_as_a_process_without_one(name, device):
    gradients = []
    for ids in (None, [0] if device == 'cuda' else []):
        model = build(SETTINGS[name]).to(device, torch.float32)
        model.supervision.bank.allocate(LABELS.to(device), 3)
        wrapped = model if ids is None else DistributedDataParallel(model, device_ids=ids or None)
        inputs, batch = batch_at(0, SETTINGS[name].size)
        batch.landmarks = batch.landmarks.float()
        torch.manual_seed(0)
        with SameDraws():
            total(wrapped(inputs.to(device, torch.float32), batch.to(device), mode='loss')).backward()
        model.supervision.commit()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).double())
    assert error(gradients[1], gradients[0]) < 1e-5


@pytest.mark.usefixtures('one_rank')
def test_sums_over_ranks_can_be_differentiated_twice(device):
    x = torch.tensor([1.0, 2.0], device=device, requires_grad=True)
    (gradient,) = torch.autograd.grad((_SumOverRanks.apply(x) ** 3).sum(), x, create_graph=True)
    assert gradient.tolist() == [3, 12]
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert second.tolist() == [6, 12]
