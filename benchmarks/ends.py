"""Trainings of two processes, one after another, as tools/dist_train.sh starts them: each must end with its results.

    python benchmarks/ends.py --runs 40 --out benchmarks/results/cpu/ends.json

A process that is taken down step by step may abort when all is done, and torchrun then calls the run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kills import BATCH, CONFIGS, OF_CONFIG, OPTIONS, ROOT

RESULTS = ('epoch_3.pth', 'metrics.json', 'confusion_matrix.png', 'learning_curves.png')


def main() -> None:
    """Runs them, LA-Net and all five methods in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('ends.json'))
    parser.add_argument('--runs', type=int, default=40)
    args = parser.parse_args()
    codes: Counter[str] = Counter()
    lacking: list[str] = []
    began = time.monotonic()
    environment = os.environ | dict(CUDA_VISIBLE_DEVICES='', PYTHON=sys.executable, OMP_NUM_THREADS='1')
    for i in range(args.runs):
        name = list(CONFIGS)[i % len(CONFIGS)]
        with tempfile.TemporaryDirectory() as place:
            options = [*OPTIONS, *OF_CONFIG[name], f'train_dataloader.batch_size={BATCH // 2}']
            words = ['tools/dist_train.sh', CONFIGS[name], '2', '--work-dir', place, '--cfg-options', *options]
            done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
            codes[str(done.returncode)] += 1
            lacking += [f'run {i}: {result}' for result in RESULTS if not (Path(place) / result).is_file()]
            if done.returncode:
                shutil.copytree(place, f'{place}-failed')
                print(done.stderr[-3000:], flush=True)
        print(f'run {i + 1}: {name}, exit code {done.returncode}', flush=True)
        result = dict(runs=i + 1, exit_codes=codes, results_missing=lacking, seconds=round(time.monotonic() - began))
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + '\n')
    raise SystemExit(bool(lacking) or set(codes) != {'0'})


if __name__ == '__main__':
    main()
