"""Training sets of ten thousand to ten million faces: start, memory, what is remembered per sample, checkpoints.

    python benchmarks/scale.py --out benchmarks/results/scale/scale.json
    python benchmarks/scale.py --rows 1000000 --places disk

For each number of rows, with the SampleBank in memory and on a disk, a training is started in a process of its own,
runs some steps, writes a checkpoint within the epoch, and is started again with `--resume`. It is SCN on a small
network, with one more part that remembers what LA-Net and SNA do: five columns, 43 bytes a face with its label and
whether it was seen. Each face has a row of its own (name, label, memory); the picture is the same for all, so that
looking at image files, which depends on the disk and is done once, is not in here. There are no landmarks, which would
take 544 bytes a face more.

`start` is from the config to the first step, with the processor's time beside the clock's, as the latter counts what
other work there is on the machine. `memory` is the most that the process held (RSS), with its libraries, and `own`
what of it is no file's at the first step, as a bank on a disk is. `commit` is processor time a step; its share is of a
plain ResNet-18's step (96 px, batch 64) in the same process. `save` is the clock's, with fsync.
Figures are added to the file after every run; what it has is not repeated.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.hooks import Hook
from step import Stepper
from torch import Tensor

from mmfer.apis import train
from mmfer.cli.train import configure, parse_args
from mmfer.datasets import FaceDataset
from mmfer.datasets.labels.schema import ORDERS
from mmfer.engine.supervision_of import supervision_of
from mmfer.models.supervision import Part
from mmfer.registry import DATASETS, HOOKS, MODELS
from mmfer.structures import Column, SampleBank

CONFIG = Path(__file__).resolve().parents[1] / 'configs/scn/r18_synthfaces.py'
OPTIONS = (
    *(f'{split}_dataloader.dataset.num=64' for split in ('val', 'test')),
    *('train_cfg.max_epochs=1', 'data_preprocessor.size=32'),
    *('model.backbone.base_channels=8', 'model.backbone.stem_channels=8', 'model.head.in_channels=64'),
    *('model.supervision.scn.refiners.relabel.start_epoch=1', 'default_hooks.checkpoint.minutes=0'),
)
STEPS, AT_ONCE = 20, 100_000


@DATASETS.register_module()
class ManyFaces(FaceDataset):
    """Rows without files: names and labels are made up, and every face is the same picture."""

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['rafdb'])

    def __init__(self, num: int, **kwargs: Any):
        self.num = num
        super().__init__(**kwargs)

    def load_columns(self) -> dict[str, np.ndarray]:
        """Makes the rows."""
        names = np.empty(self.num, dtype=np.dtypes.StringDType())
        for start in range(0, self.num, AT_ONCE):
            rows = range(start, min(start + AT_ONCE, self.num))
            names[rows.start : rows.stop] = [f'{self.split}/{row:08d}.jpg' for row in rows]
        face = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        image = np.broadcast_to(face, (self.num, *face.shape))
        return dict(name=names, label=np.arange(self.num) % len(ORDERS['rafdb']), image=image)


@MODELS.register_module()
class RemembersMore(Part):
    """Remembers what LA-Net and SNA do, without their networks."""

    def bank_columns(self) -> dict[str, Column]:
        """As their refiners."""
        distribution = Column(('num_classes',), start='one_hot')
        return dict(label_distribution=distribution, instability=Column(), reliability=Column(start=1.0))

    def forward(self, logits: Tensor, sample_idx: Tensor, bank: SampleBank) -> dict[str, Tensor]:
        """Moves all a little."""
        probs = logits.detach().softmax(1)
        bank.stage('label_distribution', sample_idx, 0.9 * bank.read('label_distribution', sample_idx) + 0.1 * probs)
        for name in ('instability', 'reliability'):
            bank.stage(name, sample_idx, 0.9 * bank.read(name, sample_idx) + 0.1 * probs.amax(1))
        return {}


class Measured(BaseException):
    """Ends a training."""


@HOOKS.register_module()
class Meter(Hook):
    """Reads clock and memory at the first step, and times commits and a checkpoint."""

    priority = 'VERY_LOW'
    found: ClassVar[dict[str, Any]] = {}
    begun: ClassVar[tuple[float, float]] = (0.0, 0.0)
    resumed: ClassVar[bool] = False

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Ready for the first step."""
        if self.found:
            return
        self.found.update(
            start_seconds=time.monotonic() - self.begun[0],
            start_processor_seconds=time.process_time() - self.begun[1],
            peak_mb=peak_mb(),
            own_mb=own_mb(),
        )
        if self.resumed:
            raise Measured
        self.commits: list[float] = []
        supervision = supervision_of(runner)
        commit = supervision.commit

        def timed() -> None:
            before = time.process_time()
            commit()
            self.commits.append(time.process_time() - before)

        supervision.commit = timed

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Saves behind the last one."""
        if batch_idx + 1 < STEPS:
            return
        hook = next(hook for hook in runner.hooks if hasattr(hook, 'save_within_epoch'))
        before, clock = time.process_time(), time.monotonic()
        hook.save_within_epoch(runner)
        self.found.update(
            commit_ms=1e3 * statistics.median(self.commits[2:]),
            save_seconds=time.monotonic() - clock,
            save_processor_seconds=time.process_time() - before,
            checkpoint_mb=Path(hook.last_ckpt).stat().st_size / 1e6,
            peak_with_save_mb=peak_mb(),
        )
        raise Measured


def peak_mb() -> float:
    """The most that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def own_mb() -> float:
    """What it holds that is no file's, so that it cannot be put back there where memory runs short."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('RssAnon')) * 1024 / 1e6


def plain_step() -> float:
    """Processor seconds of a plain step, 96 px and batch 64."""
    stepper = Stepper('plain', 96, 64, 'cpu')
    stepper.step()
    times = []
    for _ in range(3):
        before = time.process_time()
        stepper.step()
        times.append(time.process_time() - before)
    return statistics.median(times)


def measure(rows: int, place: str, folder: str, resume: bool) -> dict[str, Any]:
    """One training, in this process."""
    torch.set_num_threads(1)
    before = peak_mb()
    options = [*OPTIONS, f'default_hooks.sample_bank.on_disk={place == "disk"}']
    arguments = [str(CONFIG), '--work-dir', folder, *(['--resume'] if resume else []), '--cfg-options', *options]
    cfg = configure(parse_args(arguments))
    pipeline = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset = dict(type='mmfer.ManyFaces', num=rows, pipeline=pipeline)
    cfg.model.supervision.more = dict(refiners=dict(remember=dict(type='mmfer.RemembersMore')))
    cfg.custom_hooks = [dict(type='mmfer.Meter')]
    Meter.begun, Meter.resumed = (time.monotonic(), time.process_time()), resume
    with suppress(Measured):
        train(cfg)
    found = dict(Meter.found)
    if resume:
        return {f'resume_{key}': value for key, value in found.items()}
    plain = plain_step()  # afterwards, so that its memory is not counted
    return dict(before_mb=before, **found, plain_step_ms=1e3 * plain, commit_share=found['commit_ms'] / plain / 1e3)


def run(rows: int, place: str) -> dict[str, Any]:
    """One training and its resumption, each in a process of its own."""
    result: dict[str, Any] = dict(rows=rows, bank=place)
    with tempfile.TemporaryDirectory() as folder:
        for resume in (False, True):
            words = [sys.executable, __file__, '--one', str(rows), place, folder, str(int(resume))]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            result |= json.loads(done.stdout.splitlines()[-1])
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}


def table(results: list[dict[str, Any]]) -> str:
    """All results, a line each."""
    lines = [
        f'{"rows":>12}{"bank":>8}{"start":>9}{"(cpu)":>8}{"memory":>9}{"own":>9}{"commit":>10}{"share":>8}'
        f'{"checkpoint":>12}{"save":>8}{"peak":>9}{"resume":>9}{"peak":>9}'
    ]
    for one in results:
        lines.append(
            f'{one["rows"]:12,}{one["bank"]:>8}{one["start_seconds"]:7.1f} s{one["start_processor_seconds"]:6.1f} s'
            f'{one["peak_mb"]:6.0f} MB{one["own_mb"]:6.0f} MB{one["commit_ms"]:7.2f} ms{one["commit_share"]:8.2%}'
            f'{one["checkpoint_mb"]:9.0f} MB{one["save_seconds"]:6.2f} s{one["peak_with_save_mb"]:6.0f} MB'
            f'{one["resume_start_seconds"]:7.1f} s{one["resume_peak_mb"]:6.0f} MB'
        )
    return '\n'.join(lines)


def main() -> None:
    """Measures what the file has not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('scale.json'))
    parser.add_argument('--rows', nargs='+', type=int, default=[10**4, 10**5, 10**6, 10**7])
    parser.add_argument('--places', nargs='+', default=['memory', 'disk'], choices=['memory', 'disk'])
    parser.add_argument('--one', nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        rows, place, folder, resume = args.one
        print('\n' + json.dumps(measure(int(rows), place, folder, bool(int(resume)))), flush=True)
        return
    results = json.loads(args.out.read_text()) if args.out.is_file() else []
    for rows in args.rows:
        for place in args.places:
            if not any((one['rows'], one['bank']) == (rows, place) for one in results):
                results.append(run(rows, place))
                args.out.parent.mkdir(parents=True, exist_ok=True)
                args.out.write_text(json.dumps(results, indent=1) + '\n')
            print(table(results), flush=True)


if __name__ == '__main__':
    main()
