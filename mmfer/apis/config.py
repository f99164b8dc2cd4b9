"""Reads a config for a run: a misspelt path or key is met with the nearest one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from mmfer.apis.options import KeyValue as KeyValue
from mmfer.apis.options import check_fits
from mmfer.apis.options import typed_options as typed_options
from mmfer.apis.taken_out import check_taken_out
from mmfer.commands import as_typed as as_typed
from mmfer.shipped import find_config, require_python, shipped_configs
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
        path: A config file, or the name of one that is shipped, such as `lanet/r18_rafdb.py`.
        options: Values by dotted key, as `--cfg-options` gives them.
        work_dir: Folder of the run. Defaults to None: the config's own, or `default_work_dir`.

    Returns:
        The config.

    Raises:
        FileNotFoundError: There is no such file; the nearest one is named.
        ValueError: The file is no Python (yaml and json are none), imports what is not there, or takes out what its
            base does not have; or an option's first key is one that neither the config nor a runner has.
    """
    typed, path = path, find_config(path)
    if not path.is_file():
        known = [str(file) for file in sorted(Path().glob('configs/**/*.py'))] or shipped_configs()
        near = did_you_mean(str(typed), known) or '; `mmfer configs` lists those that come with mmfer'
        raise FileNotFoundError(f'there is no config {typed}{near}')
    require_python(path)
    try:
        with _importing(f'{path} or a file it builds on'):
            cfg = Config.fromfile(path)
    except SyntaxError as error:
        raise ValueError(f'{path} or a file it builds on is no Python: {error.msg} in line {error.lineno}') from None
    check_taken_out(cfg, path)
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
    options = dict(options or {})
    for key in options:
        top = key.split('.')[0]
        known = {*cfg, *list(inspect.signature(Runner.__init__).parameters)[1:], *OTHER_KEYS}
        if top not in known:
            raise ValueError(f'--cfg-options {key}: no part of a run reads the key {top!r}{did_you_mean(top, known)}')
        check_fits(cfg, key, options[key])
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError) as error:
        raise ValueError(f'--cfg-options do not fit the config: {error.args[0]}') from None
    if any(key.split('.')[0] == 'custom_imports' for key in options):
        with _importing('--cfg-options custom_imports'):
            import_modules_from_strings(**cfg.custom_imports)
    return cfg


def default_work_dir(config: str | Path) -> Path:
    """`work_dirs/lanet/r18_rafdb` for `configs/lanet/r18_rafdb.py`, however that is typed.

    So configs of two methods never share a folder.
    """
    parts = find_config(config).with_suffix('').parts
    inside = len(parts) - parts[::-1].index('configs') if 'configs' in parts[:-1] else len(parts) - 1
    return Path('work_dirs', *parts[inside:])


@contextmanager
def _importing(what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        cause: BaseException = error
        while isinstance(cause.__context__, ImportError):  # MMEngine's own words would hide which module it is
            cause = cause.__context__
        raise ValueError(
            f'{what} imports what is not there ({cause}): install the package where this Python '
            'finds it, as pip install -e FOLDER does, or correct the name'
        ) from None
