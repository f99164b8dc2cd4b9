"""Commands as one would type them where one is: everything that a message says to type next is built here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mmengine.config import Config

from mmfer.shipped import SHIPPED, find_config

NAMED = re.compile(r'(?<![\w/.])(python )?tools/([\w/]+\.(?:py|sh))( configs/[\w/]+\.py)?')
LAUNCH = ('PYTHON', 'CUDA_VISIBLE_DEVICES', 'PORT', 'NNODES', 'NODE_RANK')
"""What tools/dist_train.sh reads, with MASTER_ADDR, which torchrun sets as well."""
SLURM = ('PYTHON', 'GPUS', 'GPUS_PER_NODE', 'TASKS_PER_NODE', 'CPUS_PER_TASK', 'MASTER_PORT', 'SRUN_ARGS')


def as_typed(path: str | Path) -> str:
    """A path as one would type it here: relative where it lies below the current folder."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def typed_as_command() -> bool:
    """Whether `mmfer` (or `python -m mmfer`) was typed, or there are no files of tools/ that one would type instead."""
    typed = Path(sys.argv[0])
    if typed.stem == 'mmfer' or (typed.name == '__main__.py' and typed.parent.name == 'mmfer'):
        return True
    return SHIPPED.name == '.mim' and 'tools' not in [parent.name for parent in typed.parents]


def words_of(name: str) -> list[str]:
    """How a tool such as `dataset_tools/noise.py` is typed: with python, or as `mmfer data noise`."""
    if not typed_as_command() or not name.endswith('.py'):
        return [_python(), tool(name)] if name.endswith('.py') else [tool(name)]
    folder, _, file = name.rpartition('/')
    group = {'dataset_tools': ['data'], 'analysis_tools': ['analyze']}.get(folder, [])
    return [*_mmfer(), *group, file.removesuffix('.py').replace('_', '-')]


def config_as_typed(path: str | Path) -> str:
    """A config file as one would type it here; one that is shipped by its name, where `mmfer` finds that."""
    path, shipped = Path(path).absolute(), (SHIPPED / 'configs').absolute()
    within = path.is_relative_to(shipped) and not path.is_relative_to(Path.cwd())
    return path.relative_to(shipped).as_posix() if within and typed_as_command() else as_typed(path)


def tool(name: str) -> str:
    """Path of a tool such as `dataset_tools/noise.py`: below the current folder, or beside the one that runs."""
    typed = next((parent for parent in Path(sys.argv[0]).parents if parent.name == 'tools'), Path('tools'))
    for folder in (typed, SHIPPED / 'tools'):
        if (folder / name).is_file():
            near = Path('tools', name)
            same = near.is_file() and near.samefile(folder / name)
            return str(near) if same else as_typed(folder / name) if folder.is_absolute() else str(folder / name)
    return f'tools/{name}'


def command(name: str, *arguments: str | Path, options: Sequence[str] = ()) -> str:
    """A command of one of the tools, quoted, with the environment variables that its config reads.

    Args:
        name: Of the tool, under tools/.
        *arguments: What follows it.
        options: `KEY=VALUE` of `--cfg-options`, as they were typed.
    """
    words = [*words_of(name), *map(str, arguments), *(['--cfg-options', *options] if options else [])]
    return ' '.join([*_environment(arguments), shlex.join(words)])


def of_checkpoint(
    name: str,
    config: str | Path | None,
    checkpoint: str | Path,
    *arguments: str | Path,
    options: Sequence[str] = (),
) -> str:
    """A command that reads a checkpoint, such as `tools/test.py CHECKPOINT`.

    Args:
        name: 'test.py' or 'predict.py'.
        config: That which has to be named; None where the one that the checkpoint carries will do.
        checkpoint: The file.
        *arguments: What follows.
        options: `KEY=VALUE` of `--cfg-options`, as they were typed.
    """
    checkpoint = as_typed(checkpoint)
    if name == 'predict.py':
        named = [] if config is None else ['--config', config]
        return command(name, 'IMAGE_OR_FOLDER', *named, '--checkpoint', checkpoint, *arguments, options=options)
    return command(name, *([] if config is None else [config]), checkpoint, *arguments, options=options)


def resuming(arguments: Sequence[str], config: str, launcher: str = 'none') -> str:
    """The command that goes on with an interrupted training, or begins it anew where it has no checkpoint yet.

    Args:
        arguments: Those that tools/train.py was given.
        config: That which is among them.
        launcher: What started the process: 'none', 'pytorch' (torchrun) or 'slurm'.
    """
    rest = _without(arguments, '--launcher', '--resume', '--local_rank', '--local-rank')
    if launcher == 'none':
        return command('train.py', *rest, '--resume', 'auto')
    rest.remove(config)
    environment = _environment([config])
    if launcher == 'pytorch':
        words = [tool('dist_train.sh'), config, os.environ.get('LOCAL_WORLD_SIZE', os.environ['WORLD_SIZE'])]
        names = [*LAUNCH, *(['MASTER_ADDR'] if os.environ.get('NNODES', '1') != '1' else [])]
    else:
        job = [os.environ.get(f'SLURM_JOB_{name}', name) for name in ('PARTITION', 'NAME')]
        words, names = [tool('slurm_train.sh'), *job, config], [*SLURM]
    environment += [f'{name}={shlex.quote(os.environ[name])}' for name in names if name in os.environ]
    return ' '.join([*environment, shlex.join([*words, *rest, '--resume', 'auto'])])


def read_again(config: str | Path) -> Config | None:
    """A config as the file is now; None where it is gone or broken by the end of a long run."""
    with suppress(OSError, SyntaxError, ValueError, KeyError, TypeError, AttributeError, ImportError):
        return Config.fromfile(find_config(config))
    return None


def here(sentence: str) -> str:
    """A sentence in which `python tools/...`, and a config behind it, are what works in the current folder."""

    def found(match: re.Match[str]) -> str:
        python, name, config = match.groups()
        words = words_of(name) if python or typed_as_command() else [tool(name)]
        return shlex.join([*words, *([_config(config.strip())] if config else [])])

    return NAMED.sub(found, sentence)


def _config(path: str) -> str:
    """A config under `configs/` as one would type it here."""
    return path if Path(path).exists() or not (SHIPPED / path).exists() else config_as_typed(SHIPPED / path)


def _python() -> str:
    """`python` where that is the one that runs, else its path."""
    found = shutil.which('python')
    same = found is not None and Path(found).parent.absolute() == Path(sys.executable).parent.absolute()
    return 'python' if found and same and os.path.samefile(found, sys.executable) else as_typed(sys.executable)


def _mmfer() -> list[str]:
    """`mmfer` where that is the one of the environment that runs."""
    found = shutil.which('mmfer')
    same = found is not None and Path(found).parent.absolute() == Path(sys.executable).parent.absolute()
    return ['mmfer'] if same else [_python(), '-m', 'mmfer']


def _environment(arguments: Sequence[str | Path]) -> list[str]:
    """Assignments of the variables that the config among the arguments reads, `{{$NAME:default}}`."""
    config = next((read_again(word) for word in map(Path, arguments) if word.suffix == '.py'), None)
    read = config.env_variables if config is not None else {}
    return [f'{name}={shlex.quote(os.environ[name])}' for name in read if name in os.environ]


def _without(arguments: Sequence[str], *names: str) -> list[str]:
    """The arguments without some options and their values."""
    kept: list[str] = []
    value = False  # of an option that is left out
    for word in arguments:
        if word.split('=')[0] in names:
            value = '=' not in word
        elif value and not word.startswith('-'):
            value = False
        else:
            value = False
            kept.append(word)
    return kept
