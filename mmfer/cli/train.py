"""Trains a config: python tools/train.py configs/lanet/r18_rafdb.py."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmfer.apis import read_config, train, user_errors
from mmfer.apis.config import KeyValue, as_typed, typed_options
from mmfer.apis.following import next_command
from mmfer.apis.precision import amp_is_fast, mix_precision
from mmfer.apis.processes import leave_together
from mmfer.apis.system_errors import NO_ROOM
from mmfer.apis.training import is_first_process, protocol_of
from mmfer.cli.arguments import new_parser
from mmfer.commands import resuming
from mmfer.engine.beginning import AUTO
from mmfer.engine.interruption import STOPPED, TrainingStopped


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser('train', 'Train a facial expression classifier.')
    parser.add_argument('config', help='a file under configs/')
    parser.add_argument(
        '--work-dir', help='folder for logs, checkpoints and pictures (default: work_dirs/<method>/<config>)'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        metavar='CKPT',
        help='go on from the newest checkpoint of the work folder that reads whole, or from the one named; with "auto" '
        'begin anew where there is none',
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        '--amp', action='store_true', help='mixed precision: bfloat16, or float16 on GPUs that have no other'
    )
    precision.add_argument(
        '--amp-if-fast',
        action='store_true',
        help='--amp where the GPU or the processor multiplies faster in it, else float32',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='make kernels of the network by torch.compile, which takes minutes at the start',
    )
    parser.add_argument('--seed', type=int, help="overrides the config's seed")
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValue,
        metavar='KEY=VALUE',
        help='overrides the config, for example model.pretrained=None train_cfg.max_epochs=20',
    )
    parser.add_argument('--verbose', action='store_true', help='show all that the log file gets')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm'],
        default='none',
        help='set by dist_train.sh and slurm_train.sh',
    )
    # torchrun of torch < 2 hands the rank over as an argument.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    args = arguments().parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def configure(args: argparse.Namespace) -> Config:
    """Lays the command line over the config."""
    cfg = read_config(args.config, args.cfg_options, args.work_dir)
    if args.resume is not None:
        cfg.resume, cfg.load_from = args.resume if args.resume == AUTO else True, None
        if args.resume not in (True, AUTO):
            if not Path(args.resume).is_file():
                raise FileNotFoundError(
                    f'there is no checkpoint {args.resume} to resume from; --resume alone takes '
                    f'the newest of {cfg.work_dir}'
                )
            cfg.load_from = args.resume
    if args.amp or (args.amp_if_fast and amp_is_fast()):
        mix_precision(cfg)
    if args.compile:
        cfg.compile = cfg.get('compile') or True  # settings that the config has for it hold
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    return cfg


def closing_lines(runner: Runner, config: str, options: list[str]) -> list[str]:
    """What the run reached, where its pictures are, and what to type next."""
    folder = Path(as_typed(runner.work_dir))
    hook = protocol_of(runner)
    report = hook.report if hook else None
    lines = []
    if report is not None:
        last = report['last']
        lines += [
            f'accuracy {last["accuracy"]:.2f} %, mean class accuracy {last["mean_class_accuracy"]:.2f} % '
            f'on {report["faces"]} faces of {report["split"]} (epoch {last["epoch"]}, the last)',
            f'always guessing {report["majority_class"]}: accuracy {report["majority_rate"]:.2f} %',
            f'pictures: {folder / "confusion_matrix.png"}  {folder / "learning_curves.png"}',
            f'every figure: {folder / "metrics.json"}',
        ]
    for hook in runner.hooks:
        if hasattr(hook, 'closing_lines'):  # of what is no classifier, such as SNA's autoencoder
            return hook.closing_lines(runner, folder, options)
    following = next_command(runner, config, options)
    return [*lines, f'next: {following}'] if following else lines


def main(argv: list[str] | None = None) -> None:
    """Trains, and says what came of it."""
    args = parse_args(argv)
    to_go_on = partial(_say_how_to_go_on, args, sys.argv[1:] if argv is None else argv)
    with user_errors():
        try:
            runner = train(configure(args), args.launcher, args.verbose)
        except KeyboardInterrupt:
            to_go_on('interrupted')
            raise SystemExit(130) from None
        except TrainingStopped as stop:
            to_go_on(f'stopped by {stop.reason}')
            leave_together(STOPPED, wait=stop.together)
            raise SystemExit(STOPPED) from None
        except OSError as error:
            if error.errno in NO_ROOM:
                to_go_on('there is no room on the disk')
            raise
        if is_main_process():
            print('\n' + '\n'.join(closing_lines(runner, args.config, typed_options(args))))
        leave_together()


def _say_how_to_go_on(args: argparse.Namespace, argv: list[str], why: str) -> None:
    if is_first_process(args.launcher):
        print(f'\nmmfer: {why}; to go on: {resuming(argv, args.config, args.launcher)}', file=sys.stderr)
