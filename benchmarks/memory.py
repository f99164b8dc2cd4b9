"""The memory of a long training: does it grow?

    python benchmarks/memory.py --iterations 5000 --out benchmarks/results/cpu/memory.json

All five methods together, in small. What the process holds (RSS) is read every fifty iterations; the slope is that of a
line through all readings behind the first fifth, and its noise what the slope of ten equal parts varies by.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from kills import BATCH, CONFIGS, OF_CONFIG, OPTIONS, ROOT
from mmengine.hooks import Hook

from mmfer.apis import train
from mmfer.cli.train import configure, parse_args
from mmfer.registry import HOOKS

NAME, EVERY, EPOCH = 'all five', 50, 100


@HOOKS.register_module()
class Resident(Hook):
    """Reads the process's memory every so many iterations."""

    readings: ClassVar[list[tuple[int, float]]] = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Reads it, in MB."""
        if (runner.iter + 1) % EVERY == 0:
            pages = int(Path('/proc/self/statm').read_text().split()[1])
            self.readings.append((runner.iter + 1, pages * 4096 / 1e6))


def slope(readings: np.ndarray) -> float:
    """MB per 1,000 iterations."""
    return float(1000 * np.polyfit(readings[:, 0], readings[:, 1], 1)[0])


def main() -> None:
    """Trains, and writes what was read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('memory.json'))
    parser.add_argument('--iterations', type=int, default=5000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = [
        *(*OPTIONS, *OF_CONFIG[NAME], f'train_dataloader.batch_size={BATCH}', 'train_cfg.val_interval=5'),
        *(f'train_cfg.max_epochs={-(-args.iterations // EPOCH)}', f'train_dataloader.dataset.num={BATCH * EPOCH}'),
        *('default_hooks.checkpoint.interval=5', 'default_hooks.checkpoint.minutes=0.5'),
    ]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        cfg = configure(parse_args([str(ROOT / CONFIGS[NAME]), '--work-dir', folder, '--cfg-options', *options]))
        cfg.custom_hooks = [dict(type='mmfer.Resident')]
        train(cfg)
    readings = np.array(Resident.readings)
    settled = readings[len(readings) // 5 :]
    parts = [slope(part) for part in np.array_split(settled, 10)]
    result = dict(
        iterations=int(readings[-1, 0]),
        seconds=round(time.monotonic() - began),
        first_mb=round(float(readings[0, 1]), 1),
        settled_mb=round(float(settled[0, 1]), 1),
        last_mb=round(float(readings[-1, 1]), 1),
        slope_mb_per_1000=round(slope(settled), 3),
        noise_mb_per_1000=round(float(np.std(parts)), 3),
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1) + '\n')
    print(result)


if __name__ == '__main__':
    main()
