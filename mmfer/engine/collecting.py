"""Where the processes of a run put what they have found, for the first to gather it."""

from __future__ import annotations

from pathlib import Path

from mmengine.evaluator import Evaluator

COLLECTED = '.dist_test'


def collect_in(evaluator: Evaluator, work_dir: str | Path) -> None:
    """Lets metrics meet in the work folder, where MMEngine takes the current one; what a config says of it stays.

    Args:
        evaluator: Its metrics are changed in place.
        work_dir: The folder of the run; all processes must reach it, as they do for the log.
    """
    for metric in evaluator.metrics:
        if metric.collect_device == 'cpu' and metric.collect_dir is None:
            metric.collect_dir = str(Path(work_dir, COLLECTED))
