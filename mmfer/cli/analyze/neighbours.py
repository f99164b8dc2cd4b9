"""Shows faces' neighbours and estimated labels: python tools/analysis_tools/neighbours.py CONFIG CHECKPOINT."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mmfer.apis import user_errors
from mmfer.apis.analysis.inspection import Run, read_run
from mmfer.apis.analysis.neighbours import Neighbours, choose_faces, find_neighbours
from mmfer.apis.config import as_typed
from mmfer.cli.arguments import add_cfg_options, add_run, new_parser
from mmfer.progress import ProgressBar
from mmfer.visualization import LabelledFace, draw_neighbours


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser(
        'analyze neighbours',
        "Draw training faces, their nearest others in the spaces in which LA-Net's label estimation looks "
        'for them, and what the run has come to believe about their labels.',
    )
    add_run(parser)
    parser.add_argument('--out', metavar='PNG', help="picture to write (default: neighbours.png in the run's folder)")
    parser.add_argument('--faces', type=int, default=6, metavar='N', help='faces to show, drawn at random (default: 6)')
    parser.add_argument('--indices', type=int, nargs='+', metavar='I', help='rows of the training set to show instead')
    parser.add_argument('--seed', type=int, default=0, help='of the draw (default: 0)')
    parser.add_argument('--neighbours', type=int, default=5, metavar='K', help='neighbours a space (default: 5)')
    parser.add_argument(
        '--among',
        type=int,
        metavar='N',
        help='look for neighbours among N random faces (default: the whole training set)',
    )
    add_cfg_options(parser, force=True)
    return parser


def draw(run: Run, found: Neighbours, path: Path, title: str) -> Path:
    """Fetches the pictures and labels of what was found, and draws them."""
    some = found.remembered.any()
    odd = found.faces[~found.remembered] if some else ()
    notes = {int(face): ' never drawn: its prediction' for face in odd}

    def faces(rows: np.ndarray, named: bool = False) -> list[LabelledFace]:
        infos = [run.dataset.get_data_info(int(row)) for row in rows]
        truth = getattr(run.dataset, 'columns', {}).get('true_distribution')
        return [
            LabelledFace(
                picture,
                info['gt_label'],
                info.get('clean_label', -1),
                f'#{row}{notes.get(row, "")}' if named else '',
                None if truth is None else truth[row],
            )
            for row, info, picture in zip(rows, infos, run.pictures(rows), strict=True)
        ]

    return draw_neighbours(
        faces(found.faces, named=True),
        {f'nearest in {space} space': [faces(row) for row in rows] for space, rows in found.spaces.items()},
        found.distribution,
        run.dataset.metainfo['classes'],
        path,
        ('estimated label distribution, %' if some else 'prediction, %')
        + ('; tick: true share' if 'true_distribution' in getattr(run.dataset, 'columns', {}) else ''),
        title,
    )


def main(argv: list[str] | None = None) -> None:
    """Embeds the training set, and draws."""
    args = arguments().parse_args(argv)
    with user_errors():
        run = read_run(args.config, args.checkpoint, args.cfg_options, force=args.force)
        faces = args.indices or choose_faces(run, args.faces, args.seed)
        among = None if args.among is None else choose_faces(run, args.among, args.seed + 1)
        found = find_neighbours(
            run,
            faces,
            args.neighbours,
            among,
            lambda batches, total: ProgressBar(batches, desc='embedding the training set', total=total, unit='batch'),
        )
        title = f'{Path(args.config).stem}, {Path(args.checkpoint).name}; frames have the colour of the observed label'
        path = draw(run, found, Path(args.out or Path(run.cfg.work_dir) / 'neighbours.png'), title)
        shares = [f'{100 * share:.0f} % in {space} space' for space, share in found.agreement.items()]
        print(
            f"nearest {args.neighbours} of the face's own class: {', '.join(shares)}; {100 * found.chance:.0f} % of "
            f'faces drawn at random\npicture: {as_typed(path)}'
        )
