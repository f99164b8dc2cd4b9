"""Users' mistakes as one sentence each, with the nearest name where one is misspelt."""

from __future__ import annotations

import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.config.utils import ConfigParsingError
from mmengine.registry import Registry

import mmfer
from mmfer.apis.loader_faults import leave_no_worker, loader_fault
from mmfer.apis.registered_parts import UNKNOWN_PART, missing_location, unknown_part
from mmfer.apis.system_errors import of_system
from mmfer.commands import here
from mmfer.engine.checks.config_parts import unknown_parameter
from mmfer.engine.terminal import shown_to_people
from mmfer.structures.printable import printable

UNKNOWN_PARAMETER = re.compile(r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'")
MISSING_PARAMETER = re.compile(r'([\w.]+)\(\) missing \d+ required (?:positional|keyword-only) arguments?: (.+)')
USERS = (
    ValueError,
    OSError,
    KeyError,
    TypeError,
    ConfigParsingError,
    ImportError,
)


@contextmanager
def user_errors() -> Iterator[None]:
    """Ends the program with `mmfer: error: <sentence>` and exit code 1 where the user can mend it.

    These are `ValueError`, `KeyError`, errors of files and of a config, packages to be installed, and
    parts built with parameters that they do not have. Everything else is our mistake and keeps its traceback, as do
    all with `MMFER_TRACEBACK=1`. A loader whose workers have stopped or died is a sentence, too, and none of them
    stays. Names that are printed meanwhile have no hold on the terminal (`printable`).
    """
    try:
        with shown_to_people():
            yield
    except BrokenPipeError:  # whoever reads what is printed has read enough
        raise
    except (*USERS, RuntimeError) as error:
        fault = loader_fault(error) if isinstance(error, RuntimeError) else None
        if isinstance(error, RuntimeError) and fault is None:
            raise
        if isinstance(error, TypeError) and not _is_about_parameters(error):
            raise
        if isinstance(error, ImportError) and 'pip install' not in str(error) and not missing_location(error):
            raise
        if os.environ.get('MMFER_TRACEBACK', '0') not in ('', '0'):
            traceback.print_exc()
        rank = os.environ.get('RANK', '0')
        hint = f' ({_origin(error)}MMFER_TRACEBACK=1 in front of the command shows where)'
        where = '' if fault or _is_ours(error) else hint
        sentence = printable(f'{fault or sentence_of(error)}{where}')
        print(f'mmfer: error{"" if rank == "0" else f" (rank {rank})"}: {sentence}', file=sys.stderr)
        if fault:
            leave_no_worker()
        raise SystemExit(1) from None


def sentence_of(error: BaseException) -> str:
    """One line that says what is wrong; names that MMEngine does not know are met with the nearest one it does."""
    # str() of a KeyError is its repr.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if 'Original Traceback' in text:  # from a loader's worker, as text
        text = text.strip().splitlines()[-1].partition(': ')[2]
    if match := UNKNOWN_PART.match(text):
        text = unknown_part(*match.groups())
    elif match := UNKNOWN_PARAMETER.search(text):
        text = _unknown_parameter(_built(error, match[1]), *match.groups())
    elif match := MISSING_PARAMETER.search(text):
        text = f'{_short(match[1])} needs {match[2]}: add it to the config'
    elif isinstance(error, ImportError) and (place := missing_location(error)):
        text = place
    elif isinstance(error, ImportError) and (part := _whose(error)):
        text = f'{part.__name__} needs a package that is not installed: {text}'
    elif isinstance(error, OSError) and error.errno:  # ours have a sentence only
        text = of_system(error)
    elif isinstance(error, KeyError) and len(text.split()) == 1:
        text = f'the key {text!r} is missing'
    return here(' '.join(text.split())) or type(error).__name__


def _unknown_parameter(built: Callable[..., Any] | None, where: str, name: str) -> str:
    if built is None:
        return f'{_short(where)} has no parameter {name!r}: correct it in the config'
    return unknown_parameter(built, name)


def _built(error: BaseException, where: str) -> Callable[..., Any] | None:
    """What MMEngine was building when `where` (it, or a parent of it) refused, or what a frame knows by that name."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]
    name, _, method = where.partition('.')
    for frame in frames:
        owner = frame.f_globals.get(name)
        if method not in ('', '__init__') and hasattr(owner, method):
            return getattr(owner, method)  # such as Runner.set_randomness
        built = frame.f_locals.get('obj_cls')
        if name in [owner.__name__ for owner in getattr(built, '__mro__', (built,)) if owner is not None]:
            return built
    found = (frame.f_globals.get(name) for frame in frames)
    return next((thing for thing in found if inspect.isclass(thing) or inspect.isfunction(thing)), None)


def _whose(error: BaseException) -> type | None:
    """The class in whose method it happened, such as a backend of the visualizer."""
    owners = [frame.f_locals['self'] for frame, _ in traceback.walk_tb(error.__traceback__) if 'self' in frame.f_locals]
    return type(owners[-1]) if owners else None


def _short(where: str) -> str:
    return where.removesuffix('.__init__')


def _is_about_parameters(error: TypeError) -> bool:
    return bool(UNKNOWN_PARAMETER.search(str(error)) or MISSING_PARAMETER.search(str(error)))


def _is_ours(error: BaseException) -> bool:
    """Whether the sentence was written in this package (or is a name that MMEngine does not know)."""
    if isinstance(error, TypeError | ConfigParsingError | ImportError) or UNKNOWN_PART.match(str(error).strip('\'"')):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    root = Path(mmfer.__file__).parent
    return bool(frames) and (root in Path(frames[-1].f_code.co_filename).parents or 'Original Traceback' in str(error))


def _origin(error: BaseException) -> str:
    """The part that failed, or else the plugin (another package that registers parts) in which it happened."""
    if notes := getattr(error, '__notes__', ()):
        return f'{notes[-1]}; '
    packages = {
        scope for root in vars(mmengine_registry).values() if isinstance(root, Registry) for scope in root.children
    } - {'mmpretrain', 'mmfer'}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]
    inside = (place for frame in frames for place in _places(frame) if place.split('.')[0] in packages)
    return next((f'in {place}; ' for place in inside), '')


def _places(frame: FrameType) -> tuple[str, str]:
    """The class of the object whose method it is, if any, and the module in which that stands."""
    owner = type(frame.f_locals.get('self'))
    return f'{owner.__module__}.{owner.__qualname__}', str(frame.f_globals.get('__name__'))
