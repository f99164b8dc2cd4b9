"""Twenty seeded steps of every method: what a change that must not change results is compared with, bit by bit.

``python tests/golden_steps.py`` writes the file anew; a change that does so says in its message why results may differ.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from pathlib import Path
from unittest.mock import patch

import torch
from mmengine.config import config as mmengine_config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmfer.apis import read_config, train

ROOT = Path(__file__).parents[1]
FILE = Path(__file__).with_suffix('.json')
METHODS = ('lanet', 'scn', 'arm', 'pal', 'sna')
CONFIGS = (
    *(f'configs/{method}/r18_synthfaces.py' for method in METHODS),
    'configs/combined/scn_arm_pal_lanet_sna_r18_synthfaces.py',
)
STEPS, EPOCHS, BATCH = 20, 5, 16
# Settings of the methods under which each of them acts within five epochs.
ACTING = {
    'lanet': {'branches.keys.queue_size': 40, 'branches.keys.momentum': 0.9, 'refiners.lde.confidence': 0.2},
    'scn': {'refiners.relabel': dict(start_epoch=2, margin=0.0, scope='all'), 'losses.rank.margin': 0.5},
    'sna': {
        'branches.neighbours.checkpoint': None,
        'refiners.reliability': dict(warmup=1, fraction=0.5),
        'losses.smooth.loss_weight': [(0, 0.0), (3, 1.0)],
    },
}


def machine() -> dict[str, str]:
    """What the bits of a sum depend on."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    model = next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), '')
    return {
        'cpu': model or platform.processor(),
        'kernels': torch.backends.cpu.get_cpu_capability(),
        'torch': torch.__version__,
    }


@HOOKS.register_module()
class GoldenSteps(Hook):
    """Keeps the losses and the norms of the gradients of every step, as exact texts."""

    def __init__(self) -> None:
        self.steps: list[dict[str, str]] = []
        self.norms: dict[str, float] = {}

    def before_train(self, runner) -> None:
        """Takes the norm of the gradient of each part of the network before the optimizer uses it."""

        def measure(*_) -> None:
            self.norms = {}
            for name, child in runner.model.named_children():
                squares = [p.grad.detach().double().square().sum() for p in child.parameters() if p.grad is not None]
                if squares:
                    self.norms[f'|{name}|'] = torch.stack(squares).sum().sqrt().item()

        runner.optim_wrapper.optimizer.register_step_pre_hook(measure)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Adds a step."""
        terms = {name: float(value.detach()) for name, value in outputs.items()}
        self.steps.append({name: value.hex() for name, value in {**terms, **self.norms}.items()})


def options_of(config: str) -> dict[str, object]:
    """A config in small, every part of it at work."""
    values: dict[str, object] = {
        'train_cfg.max_epochs': EPOCHS,
        'train_cfg.val_interval': EPOCHS,
        'train_dataloader.batch_size': BATCH,
        'train_dataloader.dataset.num': BATCH * STEPS // EPOCHS,
        'val_dataloader.dataset.num': 7,
        'model.backbone.base_channels': 32,
        'model.backbone.stem_channels': 32,
        'model.head.in_channels': 256,
        'default_hooks.checkpoint': None,
    }
    if 'arm' in config:
        values['model.neck.in_channels'] = 256
        del values['model.head.in_channels']
    for method, settings in ACTING.items():
        if method in config:
            for key, value in settings.items():
                nested = value if isinstance(value, dict) else {'': value}
                values |= {f'model.supervision.{method}.{key}.{k}'.rstrip('.'): v for k, v in nested.items()}
    return values


def steps_of(config: str, folder: Path) -> list[dict[str, str]]:
    """Trains a config in small, and gives each step's numbers by name as hexadecimal texts."""
    cfg, pictures = read_config(ROOT / config, options_of(config), folder), 'mmfer.engine.hooks.protocol.draw_'
    cfg.custom_hooks = [dict(type='GoldenSteps')]
    with (
        patch(f'{pictures}confusion_matrix', lambda *_, **__: None),
        patch(f'{pictures}learning_curves', lambda *_, **__: None),
        patch.object(mmengine_config, 'FormatCode', lambda text, **_: (text, False)),  # takes as long as the steps
    ):
        runner = train(cfg)
    return next(hook for hook in runner.hooks if isinstance(hook, GoldenSteps)).steps


def main() -> None:
    """Writes the file."""
    torch.set_num_threads(1)
    os.environ['MMFER_CACHE'] = ''  # no faces that an older version has drawn
    runs = {}
    for config in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            runs[config] = steps_of(config, Path(folder))
    text = json.dumps({'machine': machine(), 'runs': runs})
    FILE.write_text(text.replace('}, {', '},\n{').replace(': [{', ':\n[{') + '\n')


if __name__ == '__main__':
    main()
