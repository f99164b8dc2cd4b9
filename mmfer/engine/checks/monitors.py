"""What chooses an epoch by a figure names one that is there."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EarlyStoppingHook

from mmfer.engine.checks.config_parts import ConfigPart
from mmfer.evaluation import EmbeddingMetric, FERMetric, ReconstructionMetric
from mmfer.evaluation.protocol import HEADLINE
from mmfer.structures.naming import did_you_mean

_FIGURES: dict[Any, tuple[str, ...]] = {
    FERMetric: tuple(HEADLINE),
    ReconstructionMetric: ReconstructionMetric.FIELDS,
    EmbeddingMetric: EmbeddingMetric.FIELDS,
}
_OF_CLASSES = 'recall/'
"""Begins the names of figures of single classes, which are known when the data have been read."""


def check_monitors(cfg: Config, parts: Iterable[ConfigPart]) -> None:
    """`monitor` of an EarlyStoppingHook and `save_best` of a CheckpointHook are figures of the validation.

    MMEngine would pass over the first without stopping, and over the second without keeping an epoch. Where other
    metrics than mmfer's are asked nothing is known.

    Args:
        cfg: The config.
        parts: Those of the config.

    Raises:
        ValueError: One is not, or MMEngine cannot tell whether more of it is better.
    """
    parts = list(parts)
    metrics = [part for part in parts if part.place.split('.')[0] == 'val_evaluator']
    if not metrics or any(part.kind not in _FIGURES or part.settings.get('prefix') for part in metrics):
        return
    known = [figure for part in metrics for figure in _FIGURES[part.kind]]
    for key, part, name in _monitors(parts):
        if name not in known and not name.startswith(_OF_CLASSES):
            raise ValueError(
                f'{part.place}.{key}={name!r} is no figure of the validation{did_you_mean(name, known)} '
                f'(it gives {", ".join(known)})'
            )
        if key == 'monitor' and part.settings.get('rule') is None and 'acc' not in name:
            rule = 'less' if name.endswith('error') else 'greater'
            raise ValueError(f'{part.place}.monitor={name!r} needs {part.place}.rule={rule} beside it')


def _monitors(parts: Iterable[ConfigPart]) -> Iterator[tuple[str, ConfigPart, str]]:
    for part in parts:
        for kind, key in ((EarlyStoppingHook, 'monitor'), (CheckpointHook, 'save_best')):
            names: Any = part.settings.get(key)
            if inspect.isclass(part.kind) and issubclass(part.kind, kind):
                for name in names if isinstance(names, list | tuple) else [names]:
                    if isinstance(name, str) and name != 'auto':
                        yield key, part, name
