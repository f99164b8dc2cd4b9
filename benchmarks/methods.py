"""Trains all methods alike, over seeds, and prints the table of docs/benchmarks.md.

    python benchmarks/methods.py synthfaces_sym30                  # 7 methods x seeds 0 1 2, one run a core
    python benchmarks/methods.py rafdb_96px --methods plain SCN --seeds 0 --jobs 1
    python benchmarks/methods.py rafdb_96px_dlibface               # from weights that know faces; ..._scratch: without
    python benchmarks/methods.py synthfaces_sym30 --table-only     # what is finished so far

Runs that are finished are not repeated, runs that were cut off are resumed: call it again. Every method has the data,
augmentation, sampler, schedule and number of epochs of the plain network. Nothing is chosen on the test set: the
figures are the last epoch, the mean of the last five, and, for comparison with papers that report it, the best.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).parents[1]
_NOISE = [f'train_dataloader.dataset.label_noise.{key}' for key in ('kind=symmetric', 'rate=0.3', 'seed=0')]
_SCRATCH = ['model.pretrained=None']
SETTINGS: dict[str, tuple[str, list[str]]] = {
    'synthfaces': ('r18_synthfaces.py', []),
    'synthfaces_sym30': ('r18_synthfaces_sym30.py', []),
    'synthfaces_sym30_40e': ('r18_synthfaces_sym30_40e.py', []),
    'rafdb_96px': ('r18_rafdb_96px_12e.py', []),
    'rafdb_96px_sym30': ('r18_rafdb_96px_12e_sym30.py', []),
    'rafdb_96px_dlibface': ('dlibface_rafdb_96px_12e.py', []),
    'rafdb_96px_dlibface_sym30': ('dlibface_rafdb_96px_12e.py', _NOISE),
    'rafdb_96px_dlibface_scratch': ('dlibface_rafdb_96px_12e.py', _SCRATCH),
    'rafdb_96px_dlibface_scratch_sym30': ('dlibface_rafdb_96px_12e.py', _SCRATCH + _NOISE),
}
"""By name: the config in each method's folder, and options for it."""
METHODS = {
    'plain': 'baseline/',
    'SCN': 'scn/',
    'ARM': 'arm/',
    'PAL': 'pal/',
    'LA-Net': 'lanet/',
    'SNA': 'sna/',
    'all': 'combined/scn_arm_pal_lanet_sna_',
}
# Trained first: SNA looks at faces through an autoencoder, and some runs start from a network that knows people.
AUTOENCODERS = {'synthfaces': 'sna/autoencoder_synthfaces.py', 'rafdb': 'sna/autoencoder_rafdb_96px.py'}
STARTS = {'synthfaces_sym30_40e': 'baseline/r18_synthfaces_people.py'}
FIGURES = {'last': 'last', 'last5': 'last 5', 'best': 'best'}
TELLS = ('relabel_to_clean', 'relabel_mended', 'importance_auc', 'reliability_auc', 'distribution_top1')
FORMERLY = {'relabel_to_clean': 'relabel_precision', 'relabel_mended': 'relabel_recall'}  # in reports of earlier runs


def train(config: str, work_dir: Path, *options: str) -> None:
    """One run with one thread, from where it stands; its output goes to <work_dir>.log."""
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    where = ['--work-dir', str(work_dir), '--resume', 'auto']
    command = [sys.executable, 'tools/train.py', f'configs/{config}', *where, *options]
    threads = {name: os.environ.get(name, '1') for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS')}
    with open(f'{work_dir}.log', 'a') as log:
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **threads}, stdout=log, stderr=log).returncode
    print(f'{work_dir.name}: {"finished" if code == 0 else f"failed, see {work_dir}.log"}', flush=True)


def first(setting: str, methods: list[str], out: Path) -> dict[str, list[str]]:
    """Trains what the runs of a setting need, or goes on where it ended; what each method's --cfg-options then name."""
    options: dict[str, list[str]] = {method: [] for method in methods}

    def checkpoint_of(config: str) -> Path:
        place = out / Path(config).stem
        checkpoint = place / f'epoch_{Config.fromfile(ROOT / "configs" / config).train_cfg.max_epochs}.pth'
        if not checkpoint.exists():
            train(config, place)
        return checkpoint

    if setting in STARTS:
        weights = checkpoint_of(STARTS[setting])
        for method in methods:
            options[method].append(f'model.pretrained={weights}')
    if {'SNA', 'all'} & set(methods):
        autoencoder = checkpoint_of(AUTOENCODERS[setting.split('_')[0]])
        for method in {'SNA', 'all'} & set(methods):
            options[method].append(f'model.supervision.sna.branches.neighbours.checkpoint={autoencoder}')
    return options


def report_of(config: str, work_dir: Path) -> dict | None:
    """metrics.json of a run that has reached its last epoch."""
    path = work_dir / 'metrics.json'
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    epochs = Config.fromfile(ROOT / 'configs' / config).train_cfg.max_epochs
    return report if report['epochs'][-1]['epoch'] == epochs else None


def table(runs: dict[str, list[dict]]) -> str:
    """Mean and standard deviation over the seeds, in Markdown."""
    lines = [
        f'| | seeds | {" | ".join(FIGURES.values())} | mean class, last 5 | tells, last epoch |',
        '|---|---|' + '---|' * (len(FIGURES) + 2),
    ]
    for method, reports in runs.items():
        if not reports:
            continue
        figures = [[report[key]['accuracy'] for report in reports] for key in FIGURES]
        figures.append([report['last5']['mean_class_accuracy'] for report in reports])
        cells = [f'{statistics.mean(f):.2f}' + (f' ± {statistics.stdev(f):.2f}' if len(f) > 1 else '') for f in figures]
        last = [report['last'] for report in reports]
        tells = {
            name: [figures[key] for figures in last for key in (name, FORMERLY.get(name)) if key in figures]
            for name in TELLS
        }
        cells.append(', '.join(f'{name} {statistics.mean(values):.1f}' for name, values in tells.items() if values))
        lines.append(f'| {method} | {len(reports)} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def main() -> None:
    """Runs what is not finished and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('setting', choices=SETTINGS)
    parser.add_argument('--methods', nargs='+', default=list(METHODS), choices=METHODS)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='runs at a time, one thread each')
    parser.add_argument('--out', type=Path, default=ROOT / 'work_dirs' / 'methods')
    parser.add_argument('--amp', action='store_true', help='bfloat16, for all methods alike: twice as fast on CPUs')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='for every run alike')
    parser.add_argument('--table-only', action='store_true')
    args = parser.parse_args()

    folder = args.out / (args.setting + '_amp' * args.amp)
    config, setting_options = SETTINGS[args.setting]
    configs = {method: METHODS[method] + config for method in args.methods}
    places = {(m, s): folder / f'{m}_seed{s}' for s in args.seeds for m in args.methods}
    if not args.table_only:
        options = first(args.setting, args.methods, args.out)
        todo = [key for key, place in places.items() if report_of(configs[key[0]], place) is None]
        with ThreadPoolExecutor(args.jobs) as pool:
            for method, seed in todo:
                pool.submit(
                    train,
                    configs[method],
                    places[method, seed],
                    '--seed',
                    str(seed),
                    *['--amp'] * args.amp,
                    *(
                        ['--cfg-options', *given]
                        if (given := setting_options + options[method] + args.cfg_options)
                        else []
                    ),
                )
    runs = {m: [r for s in args.seeds if (r := report_of(configs[m], places[m, s]))] for m in args.methods}
    print(table(runs))


if __name__ == '__main__':
    main()
