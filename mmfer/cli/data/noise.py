"""Writes label noise for a config's training set: python tools/dataset_tools/noise.py CONFIG OUT.csv."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mmfer.apis import read_config, user_errors
from mmfer.apis.checkpoints.agreement import FORCE
from mmfer.apis.config import typed_options
from mmfer.apis.data.noise import confused_manifest, draw_manifest, imported_manifest, noise_options
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import command
from mmfer.datasets.labels.noise_manifest import NoiseManifest
from mmfer.datasets.labels.schema import ORDERS
from mmfer.progress import ProgressBar


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'data noise',
        "Write label noise for a config's training set to a manifest, which can be cited and trained with "
        "everywhere. Without --kind and --import it is the noise that the config's own label_noise gives.",
    )
    parser.add_argument('config', help='a config with the training set')
    parser.add_argument('out', metavar='OUT.csv', help='manifest to write')
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--kind',
        choices=['symmetric', 'asymmetric', 'instance'],
        help='draw noise; instance: mislabel the faces that --checkpoint finds most ambiguous',
    )
    source.add_argument('--import', dest='list', metavar='LIST', help="take a list, such as EAC's noise02.txt")
    parser.add_argument('--rate', type=float, help='share of the faces to mislabel, such as .3')
    parser.add_argument('--seed', type=int, default=0, help='of the draw (default: 0)')
    parser.add_argument(
        '--confusions',
        metavar='JSON',
        type=json.loads,
        help='for asymmetric: {"happiness": "neutral", "fear": {"surprise": 0.7, "anger": 0.3}}, or a '
        "matrix whose rows sum to 1 (default: LA-Net's pairs)",
    )
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        metavar='CHECKPOINT',
        help='for instance: trained with this config on clean labels; of several the predictions are averaged',
    )
    parser.add_argument('--base', type=int, choices=[0, 1], help="what --import's first class counts as")
    parser.add_argument('--force', action='store_true', help=f'with --checkpoint: {FORCE}')
    parser.add_argument(
        '--order',
        choices=['dataset', 'config', *ORDERS],
        help="what --import's numbers count in: the data set's own order, the config's classes, or the order of "
        'another set (default: the one of the first two under which most labels are those of the training set)',
    )
    parser.add_argument(
        '--column',
        type=int,
        choices=[1, 2],
        help="which of two columns of labels is --import's noisy one (default: the one that the training set has not)",
    )
    add_cfg_options(parser)
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    return arguments().parse_args(argv)


def make(args: argparse.Namespace) -> NoiseManifest:
    """Makes what the command line asks for."""
    needed = {'rate': args.kind is not None, 'checkpoint': args.kind == 'instance'}
    allowed = {**needed, 'confusions': args.kind == 'asymmetric'}
    allowed |= dict.fromkeys(('base', 'order', 'column'), args.list is not None)
    for name, allows in allowed.items():
        given = getattr(args, name) is not None
        if given and not allows:
            raise ValueError(f'--{name} does not go with {_source(args)}; see --help')
        if needed.get(name) and not given:
            raise ValueError(f'{_source(args)} needs --{name}; see --help')
    if args.list is not None:
        return imported_manifest(args.config, args.cfg_options, args.list, args.base, args.order, args.column)
    if args.kind == 'instance':
        return confused_manifest(
            args.config,
            args.cfg_options,
            args.checkpoint,
            args.rate,
            args.seed,
            lambda batches, total: ProgressBar(batches, desc='predicting the training set', total=total, unit='batch'),
            args.force,
        )
    noise = dict(kind=args.kind, rate=args.rate, seed=args.seed)
    if args.confusions is not None:
        noise['confusions'] = args.confusions
    if args.kind is None:
        noise = _own_noise(args)
        if 'file' in noise or not noise:
            raise ValueError(
                f'{args.config} has {"noise from a manifest" if noise else "no label_noise"}: say what to '
                'make with --kind and --rate, or --import'
            )
    return draw_manifest(args.config, args.cfg_options, noise)


def summary(manifest: NoiseManifest) -> str:
    """A line for each class and one for all."""
    counts = list(zip(manifest.classes, manifest.faces, manifest.changed, strict=True))
    counts.append(('all', manifest.faces.sum(), manifest.changed.sum()))
    lines = [f'{"":14}{"faces":>10}{"mislabelled":>13}']
    lines += [
        f'{name:14}{faces:10,}{changed:13,}{100 * changed / max(faces, 1):9.2f} %' for name, faces, changed in counts
    ]
    if manifest.realised == 0:
        lines.append('no label changes: if you did not ask for that, these are the labels of the training set')
    if manifest.realised > 0.5:
        lines.append(
            'more than half of the labels change: if you did not ask for that, classes are counted from '
            'another base or in another order'
        )
    return '\n'.join(lines)


def _source(args: argparse.Namespace) -> str:
    if args.list is not None:
        return '--import'
    return "the config's own label_noise" if args.kind is None else f'--kind {args.kind}'


def _own_noise(args: argparse.Namespace) -> dict[str, Any]:
    cfg = read_config(args.config, args.cfg_options)
    return (cfg.get('train_dataloader') or {}).get('dataset', {}).get('label_noise') or {}


def main(argv: list[str] | None = None) -> None:
    """Makes the manifest, and says what to type to train with it."""
    args = parse_args(argv)
    with user_errors():
        manifest = make(args)
        manifest.write(args.out)
        if 'reading' in manifest.made:
            print(f'{args.list}: {manifest.made["reading"]}\n')
        print(f'{summary(manifest)}\n\nmanifest: {args.out}\nsha256: {manifest.sha256}')
        options = noise_options(args.config, typed_options(args), dict(kind='manifest', file=args.out))
        print(f'next: {command("train.py", args.config, options=options)}')
