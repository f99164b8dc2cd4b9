"""Reads a config for a run: a misspelt path or key is met with the nearest one."""

from __future__ import annotations

import inspect
from argparse import ArgumentError, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mmfer
from mmfer.commands import as_typed as as_typed
from mmfer.structures.naming import did_you_mean

# What a config may say beside the runner's own arguments and the keys it already has.
OTHER_KEYS = {
    'select_on',
    'sync_bn',
    'model_wrapper_cfg',
    'find_unused_parameters',
    'compile',
    'runner_type',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'custom_imports',
}


def read_config(
    path: str | Path, options: Mapping[str, Any] | None = None, work_dir: str | Path | None = None
) -> Config:
    """Reads a config, lays options over it, and settles where the run works.

    Args:
        path: A config file.
        options: Values by dotted key, as `--cfg-options` gives them.
        work_dir: Folder of the run. Defaults to None: the config's own, or `default_work_dir`.

    Returns:
        The config.

    Raises:
        FileNotFoundError: There is no such file; the nearest one is named.
        ValueError: The file is no Python, or an option's first key is one that neither the config nor a runner has.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no config {path}{did_you_mean(str(path), _configs())}')
    try:
        cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise ValueError(f'{path} or a file it builds on is no Python: {error.msg} in line {error.lineno}') from None
    lay_over(cfg, options)
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif not cfg.get('work_dir'):
        cfg.work_dir = str(default_work_dir(path))
    return cfg


def lay_over(cfg: Config, options: Mapping[str, Any] | None) -> Config:
    """Lays options over a config, in place.

    Raises:
        ValueError: An option's first key is one that neither the config nor a runner has, or it does not fit.
    """
    for key in options or {}:
        top = key.split('.')[0]
        known = {*cfg, *list(inspect.signature(Runner.__init__).parameters)[1:], *OTHER_KEYS}
        if top not in known:
            raise ValueError(f'--cfg-options {key}: no part of a run reads the key {top!r}{did_you_mean(top, known)}')
        if options[key] is None and key.startswith('model.supervision.'):
            _check_is_there(cfg, key)
    try:
        cfg.merge_from_dict(dict(options or {}))
    except TypeError as error:
        raise ValueError(f'--cfg-options do not fit the config: {error}') from None
    return cfg


def default_work_dir(config: str | Path) -> Path:
    """`work_dirs/lanet/r18_rafdb` for `configs/lanet/r18_rafdb.py`: configs of two methods never share a folder."""
    parts = Path(config).with_suffix('').parts
    inside = len(parts) - parts[::-1].index('configs') if 'configs' in parts[:-1] else len(parts) - 1
    return Path('work_dirs', *parts[inside:])


class KeyValue(DictAction):
    """`--cfg-options KEY=VALUE ...`; a word without `=` is refused in words.

    Given twice, the second adds to the first, where MMEngine's forgets the first; blanks in a value, as paths may have
    them, stay. `typed_options` has the words as they were typed.
    """

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """`[1,2]` and `1,2` are lists, `(1,2)` a tuple, `'a, b'` in quotes a string."""
        text = val.strip()
        if text[:1] + text[-1:] in ('[]', '()'):
            items = [KeyValue._parse_iterable(item) for item in _split(text[1:-1])]
            return tuple(items) if text[0] == '(' else items
        if len(text) > 1 and text[:1] + text[-1:] in ('""', "''"):
            inner = text[1:-1]
            is_text = inner[:1] not in ('[', '(') and set(inner) & {',', ' '}
            return inner if is_text else KeyValue._parse_iterable(inner)
        items = _split(text)
        if len(items) > 1 or text.endswith(','):
            return [KeyValue._parse_iterable(item) for item in items]
        return DictAction._parse_int_float_bool(text)

    def __call__(self, parser, namespace, values, option_string=None):
        """Called by argparse."""
        for value in values:
            if '=' not in value:
                raise ArgumentError(self, f'{value!r} is no KEY=VALUE, for example model.pretrained=None')
        before = getattr(namespace, self.dest) or {}
        super().__call__(parser, namespace, values, option_string)
        setattr(namespace, self.dest, {**before, **getattr(namespace, self.dest)})
        setattr(namespace, f'{self.dest}_typed', [*getattr(namespace, f'{self.dest}_typed', ()), *values])


def _split(text: str) -> list[str]:
    """What stands between the commas, apart from those within brackets and quotes."""
    items, depth, quote = [''], 0, ''
    for sign in text:
        if sign in '\'"' and (not quote or quote == sign):
            quote = '' if quote else sign
        depth += 0 if quote else (sign in '[(') - (sign in '])')
        if sign == ',' and not depth and not quote:
            items.append('')
        else:
            items[-1] += sign
    return [item for item in items if item.strip()]


def typed_options(args: Namespace) -> list[str]:
    """What was given to `--cfg-options`, word by word."""
    return list(getattr(args, 'cfg_options_typed', ()))


def _check_is_there(cfg: Config, key: str) -> None:
    """Refuses to take out what is not there: a misspelt ablation would train the whole method."""
    parent: Any = cfg
    *path, last = key.split('.')
    for name in path:
        parent = parent.get(name) if isinstance(parent, Mapping | Config) else None
    if not isinstance(parent, Mapping) or last not in parent:
        known = parent if isinstance(parent, Mapping) else ()
        raise ValueError(f'--cfg-options {key}=None takes out what is not there{did_you_mean(last, known)}')


def _configs() -> list[str]:
    """Every config in reach, as it would be typed."""
    here, repository = Path(), Path(mmfer.__file__).parents[1]
    found = [str(file) for file in sorted(here.glob('configs/**/*.py'))]
    return found or [str(file) for file in sorted(repository.glob('configs/**/*.py'))]
