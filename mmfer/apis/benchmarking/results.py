"""What runs of a grid reached: one small file of JSON a run, made to be committed."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import mmfer
from mmfer.apis.benchmarking.grid import Grid, Run
from mmfer.structures.whole_files import written_whole

_DIGITS = 4
_LEFT_OUT = ('epochs', 'config', 'seed')


def result_path(folder: str | Path, grid: Grid, run: Run) -> Path:
    """Where the result of a run lies."""
    return Path(folder, grid.name, f'{run.name}.json')


def read_result(folder: str | Path, grid: Grid, run: Run) -> dict[str, Any] | None:
    """The result of a run; None where it has not finished anywhere.

    Raises:
        ValueError: The file is none.
    """
    path = result_path(folder, grid, run)
    if not path.is_file():
        return None
    try:
        result = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(result, dict) or 'figures' not in result:
            raise ValueError('it has no figures')
    except ValueError as error:
        raise ValueError(f'{path} is no result of a run ({error}): delete it, and the run is repeated') from None
    return result


def write_result(
    folder: str | Path,
    grid: Grid,
    run: Run,
    *,
    command: str,
    commit: str,
    report: Mapping[str, Any],
    seconds: float,
    device: str,
) -> Path:
    """Writes the result of a run.

    Args:
        folder: Of the results.
        grid: What the run is of.
        run: The run.
        command: With which anybody can repeat it.
        commit: Of the code that it was trained with.
        report: Its `metrics.json`.
        seconds: How long it took, all attempts together.
        device: On what, such as 'NVIDIA H200' or 'CPU, 1 thread'.
    """
    row = grid.rows[run.row]
    result = dict(
        grid=grid.name,
        setting=run.setting,
        row=run.row,
        seed=run.seed,
        config=row.config,
        command=command,
        commit=commit,
        device=device,
        software=dict(mmfer=mmfer.__version__, torch=torch.__version__, python=platform.python_version()),
        seconds=round(seconds),
        figures=_rounded({key: value for key, value in report.items() if key not in _LEFT_OUT}),
        accuracy_by_epoch=_rounded([epoch.get('accuracy') for epoch in report['epochs']]),
    )
    path = result_path(folder, grid, run)
    lines = ',\n'.join(f' {json.dumps(key)}: {json.dumps(value)}' for key, value in result.items())
    with written_whole(path, encoding='utf-8') as stream:
        stream.write(f'{{\n{lines}\n}}\n')
    return path


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, _DIGITS) if isinstance(value, float) else value


def commit_of_code() -> str:
    """The commit of mmfer's own files, with a `+` where files differ from it; '' where it is no clone."""
    folder, program = Path(mmfer.__file__).parents[1], shutil.which('git')
    if program is None or not (folder / '.git').exists():
        return ''

    def git(*words: str) -> str:
        return subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git('rev-parse', '--short', 'HEAD') + '+' * bool(git('status', '--porcelain', '--', 'mmfer', 'configs'))
    except subprocess.CalledProcessError:
        return ''
