"""The tests that are marked `gpu`, in a process of their own, and what came of them.

python -m benchmarks.gpu.device_tests RESULT.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import Measured, Unit
from benchmarks.gpu.results import Row

ROOT = Path(__file__).parents[2]


def units(place: Path) -> list[Unit]:
    """One unit: all of them."""

    def measure(_wanted: list[str], seconds: float) -> Measured:
        yield 'pytest -m gpu', run(place / 'device_tests.json', seconds)

    return [Unit('tests', ('pytest -m gpu',), 40, 120, measure)]


def run(file: Path, seconds: float) -> Row:
    """Runs them for at most so many seconds; what they gave until then counts."""
    command = [sys.executable, '-m', 'benchmarks.gpu.device_tests', str(file)]
    begun = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=seconds, capture_output=True, text=True)
        if done.returncode not in (0, 1):  # all passed, or some failed; else it did not come to the tests
            raise RuntimeError(f'pytest ended with code {done.returncode}: {(done.stdout + done.stderr)[-300:]}')
        ended = 'all of them'
    except subprocess.TimeoutExpired:
        ended = f'stopped after {seconds:.0f} s'
    return {**json.loads(file.read_text()), 'ended': ended, 'seconds': time.monotonic() - begun}


class Counts:
    """Counts outcomes, and writes them after every test, so that a stop loses nothing."""

    def __init__(self, file: Path):
        self.file, self.outcomes, self.failures = file, Counter(), []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A part of a test has ended: setting up, the test, or tearing down."""
        if report.when != 'call' and report.passed:
            return
        self.outcomes[report.outcome] += 1
        if report.failed:
            last = [line for line in report.longreprtext.splitlines() if line.startswith('E ')]
            self.failures.append(f'{report.nodeid}: {" ".join(last)[:300]}')
        self.write()

    def write(self) -> None:
        """Writes what is known by now."""
        counts = {outcome: self.outcomes[outcome] for outcome in ('passed', 'failed', 'skipped')}
        self.file.write_text(json.dumps({**counts, 'failures': self.failures}))


def main() -> None:
    """Runs pytest with what counts."""
    import pytest  # here, as who only asks for the units need not have it

    counts = Counts(Path(sys.argv[1]))
    counts.write()
    # Another torch or NumPy than CI's warns of other things, which is not what is tested here.
    options = ['-m', 'gpu', 'tests/gpu', '-q', '-p', 'no:cacheprovider', '-o', 'filterwarnings=default']
    raise SystemExit(pytest.main(options, plugins=[counts]))


if __name__ == '__main__':
    main()
