"""How far a checkpoint's accuracy depends on how its test faces are cut into batches: not at all, one should hope.

    python benchmarks/batch_dependence.py CONFIG CHECKPOINT
    python benchmarks/batch_dependence.py CONFIG CHECKPOINT --sizes 1 8 64 732 --shuffles 3 --cfg-options KEY=VALUE

Evaluates as tools/test.py does, once for each batch size and each order of the faces: as listed, then shuffled. Prints
the accuracies, their spread, and how many faces are not predicted alike throughout. Networks that take statistics from
the test batch, as the public code of ARM does, show here.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmfer.apis import evaluate, read_config, user_errors
from mmfer.apis.config import KeyValue

ALL = 10**6
"""A batch size that no test set exceeds."""


@dataclass(frozen=True)
class Trial:
    """One evaluation.

    Args:
        size: Faces a batch.
        order: 0: as they are listed; else the seed of the shuffle.
        accuracy: In percent.
        predicted: Class by name of the face.
    """

    size: int
    order: int
    accuracy: float
    predicted: Mapping[str, str]


def trials(
    config: str, checkpoint: str | Path, sizes: Sequence[int], shuffles: int, options: Mapping[str, Any] | None = None
) -> Iterator[Trial]:
    """Evaluates a checkpoint with every batch size in every order.

    Args:
        config: Path of its config.
        checkpoint: Its path.
        sizes: Faces a batch.
        shuffles: How many orders beside that of the list.
        options: As `--cfg-options`.
    """
    with tempfile.TemporaryDirectory() as folder:
        for order in range(shuffles + 1):
            for size in sizes:
                cfg = read_config(config, options, folder)
                cfg.test_dataloader.batch_size = size
                cfg.test_dataloader.sampler = dict(type='DefaultSampler', shuffle=order > 0, seed=order)
                cfg.log_level = 'WARNING'
                cfg.experiment_name = f'{Path(config).stem}_{size}_{order}'  # mmengine's state goes by it
                report = evaluate(cfg, checkpoint)
                with report.table.open(newline='', encoding='utf-8') as stream:
                    predicted = {row['name']: row['predicted'] for row in csv.DictReader(stream)}
                yield Trial(size, order, report.metrics['accuracy'], predicted)


def spread_of(seen: Sequence[Trial]) -> tuple[float, int]:
    """Largest minus smallest accuracy, and how many faces are not predicted alike throughout."""
    accuracies = [trial.accuracy for trial in seen]
    first = seen[0].predicted
    if any(trial.predicted.keys() != first.keys() for trial in seen):
        raise ValueError('not all trials are of the same faces')
    return max(accuracies) - min(accuracies), sum(
        any(trial.predicted[name] != predicted for trial in seen) for name, predicted in first.items()
    )


def main(argv: list[str] | None = None) -> None:
    """Prints a row for each evaluation, then the spread."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='the config it was trained with')
    parser.add_argument('checkpoint', help='a checkpoint of training, or an exported one')
    parser.add_argument(
        '--sizes',
        nargs='+',
        type=int,
        default=[1, 8, 64, ALL],
        metavar='N',
        help='faces a batch (default: 1, 8, 64, and all of them)',
    )
    parser.add_argument('--shuffles', type=int, default=2, help='orders beside that of the list (default: 2)')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValue, metavar='KEY=VALUE', help='overrides the config')
    args = parser.parse_args(argv)
    with user_errors():
        seen = []
        for trial in trials(args.config, args.checkpoint, args.sizes, args.shuffles, args.cfg_options):
            size = f'batches of {trial.size}' if trial.size < len(trial.predicted) else 'one batch'
            order = f'shuffle {trial.order}' if trial.order else 'as listed'
            print(f'{size:16}{order:12}{trial.accuracy:8.2f}', flush=True)
            seen.append(trial)
        spread, unlike = spread_of(seen)
        print(f'spread {spread:.2f} points; {unlike} of {len(seen[0].predicted)} faces are not predicted alike')


if __name__ == '__main__':
    main()
