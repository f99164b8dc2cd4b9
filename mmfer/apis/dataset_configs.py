"""The datasets in the loaders of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config


def dataset_configs(
    cfg: Config, splits: Sequence[str] = ('train', 'val', 'test')
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Key and settings of every dataset, those that one is made of one by one.

    Args:
        cfg: The config.
        splits: Of which loaders; those that the config does not have are passed over.

    Yields:
        Such as ``'train_dataloader.dataset.datasets.0'`` and ``dict(type='mmfer.RAFDB', ...)``.
    """
    for split in splits:
        settings = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if settings is not None:
            yield from _leaves(f'{split}_dataloader.dataset', settings)


def _leaves(key: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parts = {f'{key}.datasets.{i}': part for i, part in enumerate(settings.get('datasets') or [])}
    if 'dataset' in settings:
        parts[f'{key}.dataset'] = settings['dataset']
    for name, part in parts.items():
        yield from _leaves(name, part)
    if not parts:
        yield key, settings
