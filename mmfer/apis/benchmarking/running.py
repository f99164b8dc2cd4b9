"""Trains the runs of a grid, several at a time: what is finished is not repeated, what was cut off is resumed."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import Queue
from typing import NamedTuple

from mmfer.apis.benchmarking.grid import Grid, Run, slug
from mmfer.apis.benchmarking.places import Place
from mmfer.apis.benchmarking.results import commit_of_code, read_result, write_result
from mmfer.apis.benchmarking.training import Trainings
from mmfer.commands import as_typed, command
from mmfer.progress import ProgressBar

WORK_DIR = Path('work_dirs/benchmark')
"""Where runs lie, unless another place is named."""
_ONE_CHECKPOINT = 'default_hooks.checkpoint.max_keep_ckpts=1'  # of a hundred runs, two each would fill a disk
_SECONDS_BETWEEN_LOOKS = 5


class Outcome(NamedTuple):
    """What became of a training."""

    sentence: str
    failed: bool = False
    first: str = ''
    """The name of what others need, where it is that."""
    checkpoint: Path | None = None


class Benchmark:
    """A grid's runs on this machine.

    Args:
        grid: The grid.
        results: Folder of the results, which are committed.
        work_dir: Folder of the runs, which are not.
        places: Where runs are computed, one at a time each.
    """

    def __init__(self, grid: Grid, results: Path, work_dir: Path, places: Sequence[Place]):
        self.grid, self.results, self._work_dir = grid, results, work_dir / grid.name
        self._places: Queue[Place] = Queue()
        self._jobs = len(places)
        for place in places:
            self._places.put(place)
        self._trainings, self._commit = Trainings(), commit_of_code()

    def missing(self, runs: Sequence[Run]) -> list[Run]:
        """Those that have not finished anywhere."""
        return [run for run in runs if read_result(self.results, self.grid, run) is None]

    def command(self, run: Run, checkpoints: Mapping[str, Path]) -> str:
        """How one would train it by hand.

        Args:
            run: The run.
            checkpoints: Of what is trained first, by name.
        """
        words, options = self._words(run, checkpoints)
        return command('train.py', *words, options=options)

    def checkpoints(self) -> dict[str, Path]:
        """Where those of what is trained first lie, or will."""
        return {name: self._work_dir / _last_of(name) for name in self.grid.first}

    def train(self, runs: Sequence[Run]) -> list[str]:
        """Trains them, and what they need first, and says how it goes.

        Returns:
            A sentence for each that did not finish. What waits for something that failed is not tried.

        Raises:
            KeyboardInterrupt: It was stopped; all that ran have saved.
        """
        failures: list[str] = []
        made: dict[str, Path] = {}
        needs = {run: self.grid.rows[run.row].needs() for run in runs}
        first, waiting = sorted(set().union(*needs.values())), list(runs)
        going: set[Future[Outcome]] = set()
        with (
            ThreadPoolExecutor(self._jobs) as pool,
            ProgressBar(total=len(runs), desc=self.grid.name, unit='run') as bar,
        ):
            try:
                while True:
                    while len(going) < self._jobs:  # never more than run, so that a stop finds no others
                        able = next((run for run in waiting if needs[run] <= made.keys()), None)
                        if first:
                            going.add(pool.submit(self._make, first.pop(0)))
                        elif able is not None:
                            waiting.remove(able)
                            going.add(pool.submit(self._run, able, dict(made)))
                        else:
                            break
                    if not going:
                        break
                    for outcome in _next(going):
                        if outcome.checkpoint is not None:
                            made[outcome.first] = outcome.checkpoint
                        bar.update(not outcome.first)
                        bar.write(outcome.sentence)
                        failures += [outcome.sentence] * outcome.failed
            except KeyboardInterrupt:
                self._trainings.stop()
                raise
        return failures + [f'{run.name} was not tried: it needs {", ".join(needs[run])}' for run in waiting]

    def _words(self, run: Run, checkpoints: Mapping[str, Path]) -> tuple[list[str], list[str]]:
        options = [f'{key}={value}' for key, value in self.grid.options(run, checkpoints).items()]
        return [self.grid.rows[run.row].config, *self.grid.train, '--seed', str(run.seed)], options

    def _run(self, run: Run, checkpoints: Mapping[str, Path]) -> Outcome:
        words, options = self._words(run, checkpoints)
        work_dir, place = self._work_dir / run.name, self._places.get()
        try:
            seconds = self._trainings.train([*words, '--cfg-options', _ONE_CHECKPOINT, *options], work_dir, place)
        except ValueError as error:
            return Outcome(f'{run.name} is left out: {error}')
        finally:
            self._places.put(place)
        if seconds is None:
            return self._unfinished(run.name, work_dir)
        report = json.loads((work_dir / 'metrics.json').read_text(encoding='utf-8'))
        anywhere = {name: WORK_DIR / self.grid.name / _last_of(name) for name in checkpoints}
        words, options = self._words(run, anywhere)
        path = write_result(
            self.results,
            self.grid,
            run,
            command='mmfer train ' + shlex.join([*words, *(['--cfg-options', *options] if options else [])]),
            commit=self._commit,
            report=report,
            seconds=seconds,
            device=place.device,
        )
        accuracy = f'accuracy {report["last5"]["accuracy"]:.2f} % (mean of the last epochs)'
        return Outcome(f'{run.name}: {accuracy}, {seconds / 60:.1f} min, {as_typed(path)}')

    def _make(self, name: str) -> Outcome:
        """Trains what runs need, or waits for the process that does."""
        last = self.checkpoints()[name]
        work_dir = last.parent
        while not last.exists():
            place = self._places.get()
            try:
                seconds = self._trainings.train([self.grid.first[name]], work_dir, place)
            except ValueError:  # another process trains it
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                if self._trainings.stopped:
                    return self._unfinished(name, work_dir)
                continue
            finally:
                self._places.put(place)
            if seconds is None:
                return self._unfinished(name, work_dir)
            last.symlink_to(Path((work_dir / 'last_checkpoint').read_text().strip()).name)
        return Outcome(f'{name}: {as_typed(last)}', first=name, checkpoint=last)

    def _unfinished(self, name: str, work_dir: Path) -> Outcome:
        how = 'stopped' if self._trainings.stopped else 'failed'
        return Outcome(f'{name} {how}: {as_typed(f"{work_dir}.log")} says why', failed=True)


def _last_of(name: str) -> Path:
    return Path('first', slug(name), 'last.pth')


def _next(going: set[Future[Outcome]]) -> Iterator[Outcome]:
    """Waits for the next that end, and takes them out."""
    ended, _ = wait(going, return_when=FIRST_COMPLETED)
    going -= ended
    for future in ended:
        yield future.result()
