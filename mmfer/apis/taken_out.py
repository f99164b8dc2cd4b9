"""What a config takes out with None is what the configs that it builds on have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfer.engine.checks.config_parts import look_up
from mmfer.structures.naming import did_you_mean

_PLACES = ('model.supervision', 'default_hooks')


def check_taken_out(cfg: Config, path: str | Path) -> None:
    """A part that is None in a child config is one of its base, unless no name that is there is like it.

    A misspelt ablation, `contrst=None`, would train the whole method.

    Args:
        cfg: What the file says, with what it builds on.
        path: The file.

    Raises:
        ValueError: It is none of its base's.
    """
    missing = list(_doubtful(cfg))
    if not missing:
        return
    files = [Config._get_cfg_path(base, str(path))[0] for base in Config._get_base_files(str(path))]
    bases = [Config.fromfile(file) for file in files]
    for base, file in zip(bases, files, strict=True):
        check_taken_out(base, file)
    for key, near in missing:
        if bases and not any(look_up(base, key)[0] for base in bases):
            raise ValueError(f'{path}: {key}=None takes out what the config that it builds on does not have{near}')


def _doubtful(cfg: Config) -> Iterator[tuple[str, str]]:
    """Keys of parts that are None beside others of nearly the same name, and the ends of sentences that say which."""
    for place in _PLACES:
        settings = cfg
        for key in place.split('.'):
            settings = settings.get(key) or {}
        yield from _nones(settings, place)


def _nones(settings: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(settings, Mapping):
        return
    there = [name for name, value in settings.items() if value is not None]
    for name, value in settings.items():
        if value is None and (near := did_you_mean(name, there, alike=0.75)):
            yield f'{place}.{name}', near
        elif isinstance(value, Mapping) and 'type' not in value:
            yield from _nones(value, f'{place}.{name}')
