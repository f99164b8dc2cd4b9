"""Configs and tools that come with the package: in a clone its own folders, in a wheel `mmfer/.mim`."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
SHIPPED = PACKAGE / '.mim' if (PACKAGE / '.mim').is_dir() else PACKAGE.parent
"""The folder that has `configs`, `tools` and `model-index.yml`."""
PREFIX = 'mmfer::'


def find_config(typed: str | Path) -> Path:
    """The file that is meant: the one of that path, else the one that is shipped.

    Args:
        typed: A path such as `my/config.py`, or what is shipped: `lanet/r18_rafdb.py`, also as
            `configs/lanet/r18_rafdb.py` and `mmfer::lanet/r18_rafdb.py`.

    Returns:
        The file; where there is none, the path as it was typed.
    """
    path, name = Path(typed), str(typed).removeprefix(PREFIX)
    if path.is_file() or path.is_absolute():
        return path
    for folder in (SHIPPED / 'configs', SHIPPED):
        if (folder / name).is_file() and (folder / name).resolve().is_relative_to((SHIPPED / 'configs').resolve()):
            return folder / name
    return path


def require_python(path: str | Path, where: str = '') -> None:
    """A config is Python, and looks like it: MMEngine would read yaml and json, too, and yaml can call any function.

    Args:
        path: The config.
        where: What follows its name in the message, such as which file builds on it.

    Raises:
        ValueError: Its name does not end with `.py`.
    """
    if Path(path).suffix != '.py':
        raise ValueError(
            f'{path}{where} is not read as a config: a config can run code, so that it has to look like it; write it '
            f'as Python, in {Path(path).stem}.py'
        )


def shipped_configs() -> list[str]:
    """Every config that can be trained, as it can be typed anywhere: `lanet/r18_rafdb.py`."""
    folder = SHIPPED / 'configs'
    return [path.relative_to(folder).as_posix() for path in sorted(folder.glob('[!_]*/*.py'))]
