"""Looks through the datasets of a config: python tools/dataset_tools/check.py CONFIG."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mmfer.apis import read_config, user_errors
from mmfer.apis.config import as_typed, typed_options
from mmfer.apis.data.dataset_check import check_datasets, picture
from mmfer.apis.data.dataset_findings import DatasetCheck
from mmfer.apis.data.dataset_page import WRONG, findings, page
from mmfer.cli.arguments import add_cfg_options, new_parser
from mmfer.commands import command
from mmfer.structures.whole_files import written_whole
from mmfer.visualization import draw_contact_sheet, draw_label_histogram, draw_landmarks

SHOWN = 48


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'data check',
        'Look through the datasets of a config as they are on disk: counts against the published ones, '
        'images that cannot be read, pictures that occur twice, landmarks, people in two sets. Ends with 1 where '
        'something is wrong.',
    )
    parser.add_argument('config', help='a file under configs/')
    parser.add_argument('--out', metavar='FOLDER', help="where to write (default: check in the config's work folder)")
    add_cfg_options(parser)
    return parser


def draw(check: DatasetCheck, folder: Path) -> list[Path]:
    """The histogram of the labels, and contact sheets of pairs and of unusual landmarks where there are any."""
    paths = [draw_label_histogram({checked.name: checked.by_class() for checked in check.sets}, folder / 'labels.png')]
    images, captions = [], []
    for pair in check.pairs[:SHOWN]:
        for place, row in zip(pair.sets, pair.rows, strict=True):
            dataset = check.sets[place].dataset
            images.append(picture(dataset, row)[..., ::-1])
            captions.append(f'{Path(str(dataset.columns["name"][row])).name}\n{check.sets[place].label(row)}')
        captions[-1] += f', {pair.similarity:.3f}'
    if images:
        title = f'{min(len(check.pairs), SHOWN)} of {len(check.pairs):,} pairs of pictures; those of two sets first'
        paths.append(draw_contact_sheet(images, captions, folder / 'pairs.png', 8, title))
    images, captions = [], []
    for checked in check.sets:
        columns = checked.dataset.columns
        turned = set(checked.turned())
        worst = [*np.flatnonzero(checked.off_image).tolist(), *sorted(turned), *checked.unusual()]
        for row in list(dict.fromkeys(worst))[: SHOWN // len(check.sets)]:
            points = columns['landmarks'][row]
            near = (np.abs(points) < 2 * checked.size[row].max()).all(axis=1)
            images.append(draw_landmarks(picture(checked.dataset, row)[..., ::-1], points[near]))
            why = 'not upright' if row in turned else f'{checked.outlying[row]:.1f}'
            why = 'off the image' if checked.off_image[row] else why
            captions.append(f'{Path(str(columns["name"][row])).name}\n{why}')
    if images:
        title = 'landmarks beside the image, not upright, or far from the mean shape (robust standard deviations)'
        paths.append(draw_contact_sheet(images, captions, folder / 'landmarks.png', 8, title))
    return paths


def main(argv: list[str] | None = None) -> None:
    """Looks, prints the page, and writes it with all cases and with pictures."""
    args = arguments().parse_args(argv)
    with user_errors():
        cfg = read_config(args.config, args.cfg_options)
        folder = Path(args.out or Path(cfg.work_dir) / 'check')
        check = check_datasets(cfg)
        report = folder / 'report.txt'
        with written_whole(report, encoding='utf-8', errors='surrogateescape') as stream:
            stream.write(page(check, args.config, cases=None) + '\n')
        print(page(check, args.config))
        print(f'\nevery case: {as_typed(report)}')
        print(f'pictures: {"  ".join(map(as_typed, draw(check, folder)))}')
        wrong = sum(finding.mark == WRONG for finding in findings(check))
        print('nothing is wrong' if not wrong else f'wrong: {wrong}')
        print(f'next: {command("dataset_tools/browse.py", args.config, options=typed_options(args))}')
    if wrong:
        raise SystemExit(1)
