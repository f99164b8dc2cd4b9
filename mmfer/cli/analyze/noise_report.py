"""Reports which labels a run believes to be wrong: python tools/analysis_tools/noise_report.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmfer.apis import user_errors
from mmfer.apis.analysis.beliefs import Beliefs, beliefs_of, score, separation
from mmfer.apis.analysis.inspection import read_run
from mmfer.apis.analysis.noise_report import draw_matrix, draw_worst, write_cleanlab, write_doubts
from mmfer.apis.config import as_typed
from mmfer.cli.arguments import add_cfg_options, add_run, new_parser
from mmfer.progress import ProgressBar


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze noise-report',
        'Say which training labels a run believes to be wrong: by what it remembers of every face, or else '
        "by the network's own predictions. Writes doubts.csv, cleanlab.npz (labels, pred_probs), matrix.png and "
        'worst.png.',
    )
    add_run(parser)
    parser.add_argument('--out', metavar='FOLDER', help="where to write (default: noise_report in the run's folder)")
    parser.add_argument('--faces', type=int, default=32, metavar='N', help='faces to show at most (default: 32)')
    add_cfg_options(parser, force=True)
    return parser


def say(beliefs: Beliefs, held_out: bool) -> None:
    """Prints where the beliefs come from, and how right they are where that is known."""
    sources = beliefs.sources
    print(
        f'{len(beliefs.doubted):,} of {beliefs.seen.sum():,} labels are believed to be wrong '
        f'(belief: {sources["believed"]}, trust: {sources["trust"]}, pred_probs: {sources["probs"]})'
    )
    unseen = int((~beliefs.seen).sum())
    if unseen:
        print(
            f'left out: {unseen:,} faces that training has never drawn, of which nothing but the start is remembered '
            '(a sampler may draw some of each class only)'
        )
    if 'prediction' in sources.values() and not held_out:
        print(
            'prediction: of the faces that the network was trained on, whose labels it has learnt, wrong ones too; '
            'predictions of held-out faces are better (docs/noise.md)'
        )
    if (beliefs.clean >= 0).any():
        for label, name in enumerate(beliefs.classes):
            print(f'  {name:12}{score(beliefs, label)}')
        print(f'  {"all":12}{score(beliefs)}')
        share = separation(beliefs)
        if share is not None:
            print(
                f'of a rightly and a wrongly labelled face the right one is trusted more in {100 * share:.1f} % of '
                'all pairs (50: chance)'
            )


def main(argv: list[str] | None = None) -> None:
    """Writes tables and pictures."""
    args = arguments().parse_args(argv)
    with user_errors():
        run = read_run(args.config, args.checkpoint, args.cfg_options, force=args.force)
        beliefs = beliefs_of(
            run,
            lambda batches, total: ProgressBar(batches, desc='predicting the training set', total=total, unit='batch'),
        )
        folder = Path(args.out or Path(run.cfg.work_dir) / 'noise_report')
        say(beliefs, held_out=getattr(run.dataset, 'split', 'train') != 'train')
        print(f'doubted faces: {as_typed(write_doubts(beliefs, folder / "doubts.csv"))}')
        print(f'for cleanlab: {as_typed(write_cleanlab(beliefs, folder / "cleanlab.npz"))}')
        print(f'matrix: {as_typed(draw_matrix(beliefs, folder / "matrix.png"))}')
        print(f'worst faces: {as_typed(draw_worst(run.dataset, beliefs, folder / "worst.png", args.faces))}')
        print('how to hand cleanlab.npz to cleanlab: docs/noise.md')
