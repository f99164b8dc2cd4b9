"""Trains a grid of runs and makes its tables: mmfer benchmark benchmarks/grids/wild7.py."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from mmfer.apis.benchmarking.grid import Grid, Run, read_grid
from mmfer.apis.benchmarking.pages import fill, marked
from mmfer.apis.benchmarking.places import find_places, share_of
from mmfer.apis.benchmarking.running import WORK_DIR, Benchmark
from mmfer.apis.benchmarking.tables import grid_tables, of_seeds, read_results
from mmfer.apis.errors import user_errors
from mmfer.cli.arguments import new_parser
from mmfer.commands import as_typed, command
from mmfer.structures.naming import did_you_mean
from mmfer.structures.whole_files import written_whole
from mmfer.visualization.seeds import draw_seeds

GRIDS, PAGES = Path('benchmarks/grids'), ('LEADERBOARD.md', 'docs')


def arguments() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = new_parser('benchmark', 'Train a grid of configs, settings and seeds, and make tables of what they reach.')
    parser.add_argument(
        'grids', nargs='*', help=f'files such as {GRIDS}/wild7.py; with --table by default all of {GRIDS}'
    )
    parser.add_argument('--rows', nargs='+', help='only these')
    parser.add_argument('--settings', nargs='+', help='only these')
    parser.add_argument('--seeds', nargs='+', type=int, help='these instead of those of the grid')
    parser.add_argument('--jobs', type=int, help='runs at a time (default: one a GPU; without GPUs one a core)')
    parser.add_argument(
        '--share', metavar='I/N', help='the I-th of N parts, for N machines; in a job array of Slurm by itself'
    )
    parser.add_argument('--results', type=Path, default=Path('benchmarks/results'), help='default: %(default)s')
    parser.add_argument('--work-dir', type=Path, default=WORK_DIR, help='default: %(default)s')
    parser.add_argument('--commands', action='store_true', help='print how each missing run is trained; train none')
    parser.add_argument('--table', action='store_true', help='only make the tables of what has finished so far')
    parser.add_argument(
        '--pages',
        nargs='*',
        type=Path,
        metavar='PAGE',
        help='with --table: write the tables into these pages of Markdown, between <!-- mmfer benchmark NAME --> and '
        f'<!-- end -->, and draw pictures beside them (without names: {" and ".join(PAGES)})',
    )
    parser.add_argument('--check', action='store_true', help='with --pages: only say whether they are up to date')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Does it."""
    parser = arguments()
    args = parser.parse_args(argv)
    if not args.grids and not args.table:
        parser.error(f'name a grid, such as {GRIDS}/wild7.py')
    if args.jobs is not None and args.jobs < 1:
        parser.error('--jobs must be at least 1')
    with user_errors():
        grids = [read_grid(path) for path in args.grids or sorted(GRIDS.glob('*.py'))]
        if args.table:
            _tables(grids, args)
            return
        failures = [sentence for grid in grids for sentence in _train(grid, args)]
        if failures:
            raise ValueError(f'{len(failures)} did not finish, the first: {failures[0]}')


def _chosen(grid: Grid, args: argparse.Namespace) -> list[Run]:
    for what, typed, known in (('row', args.rows, grid.rows), ('setting', args.settings, grid.settings)):
        for name in typed or ():
            if name not in known:
                there = ', '.join(filter(None, known)) or 'none'
                raise ValueError(f'{grid.name} has no {what} {name!r}{did_you_mean(name, known)}; it has {there}')
    runs = [
        Run(setting, row, seed)
        for seed in args.seeds or grid.seeds
        for setting in args.settings or grid.settings
        for row in args.rows or grid.rows
    ]
    return share_of(runs, args.share)


def _train(grid: Grid, args: argparse.Namespace) -> list[str]:
    benchmark = Benchmark(grid, args.results, args.work_dir.absolute(), find_places(args.jobs))
    chosen = _chosen(grid, args)
    runs = benchmark.missing(chosen)
    if args.commands:
        for run in runs:
            print(benchmark.command(run, benchmark.checkpoints()))
        return []
    print(f'{grid.name}: {len(chosen) - len(runs)} of {len(chosen)} runs have finished, {len(runs)} to train')
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        failures = benchmark.train(runs)
    except KeyboardInterrupt:
        print(f'\nstopped, and all that ran is saved; to go on: {_typed(args)}')
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
    print('\n' + grid_tables(grid, read_results(args.results, grid), _command(grid, args)))
    return failures


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _typed(args: argparse.Namespace) -> str:
    """The command as it was typed."""
    words = list(args.grids)
    for name in ('rows', 'settings', 'seeds', 'jobs', 'share', 'results', 'work_dir'):
        value = getattr(args, name)
        if value != arguments().get_default(name):
            words += [f'--{name.replace("_", "-")}', *map(str, value if isinstance(value, list) else [value])]
    return command('benchmark.py', *words)


def _command(grid: Grid, args: argparse.Namespace) -> str:
    """How a grid is trained."""
    path = next((path for path in args.grids if Path(path).stem == grid.name), GRIDS / f'{grid.name}.py')
    return command('benchmark.py', as_typed(path))


def _tables(grids: Sequence[Grid], args: argparse.Namespace) -> None:
    if args.pages is None:
        for grid in grids:
            print(f'## {grid.title}\n\n{grid_tables(grid, read_results(args.results, grid), _command(grid, args))}')
        return
    named = {grid.name: grid for grid in grids}
    for page, names in marked(_pages(args.pages or [Path(name) for name in PAGES])).items():
        sections = {name: _section(named[name], args, page) for name in names if name in named}
        text = page.read_text(encoding='utf-8')
        filled = fill(text, sections.get)
        if args.check and filled != text:
            raise ValueError(
                f'{page} is not what the results say; type {command("benchmark.py", "--table", "--pages")}'
            )
        if not args.check:
            with written_whole(page, encoding='utf-8') as stream:
                stream.write(filled)
            print(f'{page}: {", ".join(sections)}')


def _pages(typed: Sequence[Path]) -> list[Path]:
    found = [page for path in typed for page in (sorted(path.glob('*.md')) if path.is_dir() else [path])]
    return [page for page in found if page.is_file()]


def _section(grid: Grid, args: argparse.Namespace, page: Path) -> str:
    """What stands in a page of a grid; its picture is drawn, unless the page is only looked at."""
    results = read_results(args.results, grid)
    text = grid_tables(grid, results, f'mmfer benchmark {GRIDS}/{grid.name}.py')
    panels = {
        setting: {
            row: list(of_seeds(results, setting, row, 'accuracy').values())
            for row in grid.rows
            if (setting, row) in results
        }
        for setting in grid.settings
    }
    panels = {setting: rows for setting, rows in panels.items() if rows}
    if not panels:
        return text
    picture = Path('docs/figures') / f'benchmark_{grid.name}.png'
    if not args.check:
        draw_seeds(panels, {name: row.against for name, row in grid.rows.items()}, grid.title, picture)
    return f'![{grid.title}]({os.path.relpath(picture, page.parent)})\n\n{text}'
