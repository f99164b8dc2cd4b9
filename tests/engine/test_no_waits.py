"""Between two printed lines no step reads from the device: a GPU would run dry at each such read."""

from __future__ import annotations

import traceback
from collections import Counter

import pytest
import torch
from golden_steps import CONFIGS, ROOT, options_of
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.utils._python_dispatch import TorchDispatchMode

from mmfer.apis import read_config, train
from mmfer.models.preprocessing.kornia_sequence import build_transform

SIZE_FOLLOWS_FROM_VALUES = ('nonzero', 'masked_select', 'unique', 'repeat_interleave', 'bincount', 'histc')
READS = ('_local_scalar_dense', 'is_nonzero', 'equal', 'item', *SIZE_FOLLOWS_FROM_VALUES)


ON_THE_CPU = ('/torch/optim/', '/kornia/augmentation/')
"""Who reads what lies on the CPU on any machine: the step number of an optimizer, what kornia draws (a test)."""


class Reads(TorchDispatchMode):
    """Notes every operation for which the host has to know values that lie on the device, and who asked."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        masks = any(isinstance(index, torch.Tensor) and index.dtype == torch.bool for index in indices(name, args))
        if masks or name.lstrip('_').startswith(READS) or name in READS:
            *frames, _ = traceback.extract_stack()
            if not any(place in frame.filename for frame in frames for place in ON_THE_CPU):
                self.found[' <- '.join(f'{frame.filename}:{frame.lineno}' for frame in frames[:-6:-1])] += 1
        return operation(*args, **(kwargs or {}))


def indices(name, args):
    """What an operation that takes rows by tensors takes them by."""
    return args[1] if name in ('index', 'index_put', 'index_put_', '_index_put_impl_') else ()


@HOOKS.register_module()
class CountReads(Hook):
    """Counts from the moment that a batch is there until all hooks have run; an epoch's last step prints."""

    priority = 'VERY_LOW'

    def __init__(self):
        self.found, self.steps, self._mode = Counter(), 0, None

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Begins behind the first step of all, which looks whether LA-Net's copy has begun."""
        if runner.iter and batch_idx + 1 < len(runner.train_dataloader):
            self._mode = Reads()
            self._mode.__enter__()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Ends."""
        if self._mode is not None:
            self._mode.__exit__(None, None, None)
            self.found, self.steps, self._mode = self.found + self._mode.found, self.steps + 1, None


@pytest.mark.parametrize('config', CONFIGS)
def test_no_step_reads_from_the_device(config, tmp_path):
    options = options_of(config) | {
        'train_dataloader.dataset.num': 32,
        'default_hooks.logger.interval': 1000,
        'default_hooks.finite': None,  # reads what has come to the CPU, behind an event; see test_finite.py
        'default_hooks.protocol': None,
        'train_cfg.val_interval': 100,
    }
    cfg = read_config(ROOT / config, options, tmp_path)
    cfg.custom_hooks = [dict(type='CountReads')]
    runner = train(cfg)
    counted = next(hook for hook in runner.hooks if isinstance(hook, CountReads))
    assert counted.steps == 4  # of five epochs of two, all but the first of all and the last of each
    assert not counted.found


def test_what_augmentations_draw_lies_on_the_cpu():
    configs = [
        Config.fromfile(ROOT / config)
        for config in (*CONFIGS, 'configs/arm/r18_rafdb.py', 'configs/lanet/r18_rafdb.py')
    ]
    transforms = [cfg for config in configs for cfg in config.data_preprocessor.augment]
    transforms += [inner for cfg in transforms for inner in cfg.get('transforms', ())]
    built = [build_transform(cfg, (32, 32)) for cfg in transforms if cfg['type'] != 'OneOf']
    assert len(built) > 3
    assert {str(part.device) for part in built} == {'cpu'}


@pytest.mark.parametrize(
    'read',
    [
        lambda x: x.sum().item(),
        lambda x: float(x[0]),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.where(x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x.masked_select(x > 0),
        lambda x: x.__setitem__(x > 0, x[:1].expand(2)),
        lambda x: torch.repeat_interleave(x, torch.tensor([2, 1])),
    ],
)
def test_what_reads_is_seen(read):
    with Reads() as reads:
        read(torch.tensor([1.0, 2.0]))
    assert reads.found
