"""Finds training labels that are probably wrong: python tools/audit.py CONFIG_OR_FOLDER."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfer.apis import TrainingStopped, read_config, user_errors
from mmfer.apis.analysis.beliefs import score
from mmfer.apis.analysis.noise_report import draw_matrix, draw_worst, write_cleanlab
from mmfer.apis.audit.evidence import gather_evidence
from mmfer.apis.audit.files import write_corrected, write_ranked
from mmfer.apis.audit.folder import NETWORK, write_folder_config
from mmfer.apis.audit.plan import REPORT, audited_set, claim_folder
from mmfer.apis.audit.verdict import Verdict, figures, judge
from mmfer.apis.config import as_typed, typed_options
from mmfer.apis.data.noise import noise_options
from mmfer.apis.precision import mix_precision
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import command, config_as_typed
from mmfer.engine.interruption import STOPPED
from mmfer.engine.run_lock import only_run_in
from mmfer.evaluation import write_report
from mmfer.progress import ProgressBar
from mmfer.shipped import find_config


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'audit',
        'Find training labels that are probably wrong: of each of several folds a network is trained on the others, '
        'and says what it sees in the faces that it does not know. Writes labels.csv (the most doubtful first), '
        'doubtful.png, matrix.png, corrected.csv to train with, and cleanlab.npz. Type it again to go on.',
    )
    parser.add_argument('audited', metavar='CONFIG_OR_FOLDER', help='a config, or a folder of class folders')
    parser.add_argument('--config', help=f'for a folder: whose network is trained (default: {NETWORK})')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help="for class folders named by numbers: the names in order, or 'rafdb'",
    )
    parser.add_argument('--work-dir', help='where to work (default: audit in the work folder of the config)')
    parser.add_argument('--folds', type=int, default=5, metavar='K', help='networks to train (default: 5)')
    parser.add_argument('--seed', type=int, help="of folds and trainings (default: 0, and the config's)")
    parser.add_argument(
        '--fix',
        type=int,
        metavar='N',
        help='change the labels of the N most doubtful (default: those that confident learning is sure of)',
    )
    parser.add_argument('--faces', type=int, default=64, metavar='N', help='faces to show at most (default: 64)')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision, as with `train`')
    add_cfg_options(parser)
    parser.add_argument('--verbose', action='store_true', help='show all that the log files get')
    return parser


def configure(args: argparse.Namespace) -> Config:
    """The config that is named, or one for the folder that is named, with the command line over it."""
    if not Path(args.audited).is_dir():
        for name in ('config', 'classes'):
            if getattr(args, name) is not None:
                raise ValueError(f'--{name} is for a folder of class folders, and {args.audited} is none')
        if Path(args.audited).suffix != '.py' and not find_config(args.audited).is_file():
            raise FileNotFoundError(f'there is no config and no folder {args.audited}')
        cfg = read_config(args.audited, args.cfg_options)
        cfg.work_dir = args.work_dir or str(Path(cfg.work_dir) / 'audit')
    else:
        folder = Path(args.audited)
        work_dir = Path(args.work_dir or Path('work_dirs', 'audit', folder.resolve().name))
        path = write_folder_config(folder, work_dir, args.config or NETWORK, args.classes)
        cfg = read_config(path, args.cfg_options, work_dir)
    if args.amp:
        mix_precision(cfg)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    return cfg


def say(verdict: Verdict, found: dict[str, dict[str, float]]) -> None:
    """Prints how many labels are doubted, and how right that is where clean labels are known."""
    beliefs = verdict.beliefs
    right = 100 * (beliefs.probs.argmax(1) == beliefs.observed).mean()
    print(
        f'networks that were not trained on a face give it its label in {right:.1f} %\n'
        f'{len(beliefs.doubted):,} of {len(beliefs.observed):,} labels are changed in corrected.csv'
    )
    if not found:
        return
    known = beliefs.clean >= 0
    rate = 100 * (beliefs.clean != beliefs.observed)[known].mean()
    print(f'{rate:.1f} % of the labels are known to be wrong; how well each score finds them:')
    for name, figure in found.items():
        print(f'  {name:16}AUROC {figure["auroc"]:6.2f}  average precision {figure["average_precision"]:6.2f}')
    print(f'of those that are changed: {score(beliefs)}')


def audit(args: argparse.Namespace) -> None:
    """Trains, ranks, writes, and says what to type next."""
    cfg = configure(args)
    folder, seed = Path(cfg.work_dir), args.seed or 0
    dataset = audited_set(cfg, args.folds)
    with only_run_in(folder):
        said = claim_folder(cfg, dataset, args.folds, seed)
        evidence = gather_evidence(cfg, dataset, args.folds, seed, _track, args.verbose)
        verdict = judge(dataset, evidence, args.fix)
        found = figures(verdict)
        print()
        say(verdict, found)
        made = dict(source=f'mmfer audit, {args.folds} folds, seed {seed}, settings sha256 {said["sha256"]}')
        noise = write_corrected(cfg, verdict, folder / 'corrected.csv', made)
        changed = len(verdict.beliefs.doubted)
        write_report({**said, 'changed': changed, 'figures': found}, folder / REPORT)
        print(f'every face, the most doubtful first: {as_typed(write_ranked(verdict, folder / "labels.csv"))}')
        sheet = draw_worst(dataset, verdict.beliefs, folder / 'doubtful.png', args.faces)
        print(f'the most doubtful: {as_typed(sheet)}')
        print(f'matrix: {as_typed(draw_matrix(verdict.beliefs, folder / "matrix.png"))}')
        print(f'for cleanlab: {as_typed(write_cleanlab(verdict.beliefs, folder / "cleanlab.npz"))}')
        if 'shape' not in verdict.doubts:
            print('with landmarks the shapes of faces are asked, too: docs/audit.md, "Landmarks"')
        print(f'next: {following(cfg, args, noise)}')


def following(cfg: Config, args: argparse.Namespace, noise: dict[str, str]) -> str:
    """The command that trains on the corrected labels."""
    of_folder = Path(args.audited).is_dir()
    config = config_as_typed(cfg.filename) if of_folder else args.audited
    options = noise_options(config, typed_options(args), dict(noise, file=as_typed(noise['file'])))
    # Of its own: in the config's work folder may be the run with the labels as they were.
    work_dir = ['--work-dir', as_typed(Path(cfg.work_dir) / 'corrected')]
    seed = [] if args.seed is None else ['--seed', str(args.seed)]
    return command('train.py', config, *work_dir, *['--amp'] * args.amp, *seed, options=options)


def main(argv: list[str] | None = None) -> None:
    """Audits; an audit that is stopped says how to go on."""
    typed = list(sys.argv[1:] if argv is None else argv)
    args = arguments().parse_args(typed)
    with user_errors():
        try:
            audit(args)
        except (KeyboardInterrupt, TrainingStopped) as stop:
            print(f'\nmmfer: stopped; to go on: {command("audit.py", *typed)}', file=sys.stderr)
            raise SystemExit(STOPPED if isinstance(stop, TrainingStopped) else 130) from None


def _track(batches: Any, total: int) -> Any:
    return ProgressBar(batches, desc='asking the network', total=total, unit='batch')
