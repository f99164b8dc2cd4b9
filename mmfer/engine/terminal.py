"""What of a run people see on the terminal. The log file has everything."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from functools import partial
from typing import Any, TextIO, cast

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from termcolor import colored
from tqdm import tqdm

from mmfer.engine.hooks.progress import ProgressHook
from mmfer.structures.printable import printable

FILE_ONLY = dict(file_only=True)
"""`logger.info(text, extra=FILE_ONLY)` says it to the log file."""

MMENGINE_DUMPS = (
    'System environment:',
    'Config:\n',
    'Distributed training is not used, all SyncBatchNorm',
    'Hooks will be executed in the following order:',
    'Loads checkpoint by ',
    'Checkpoints will be saved to ',
    'Exp name: ',
    'Saving checkpoint at ',
    'The previous best checkpoint ',
    'Epoch(',  # LoggerHook's, of some steps: ProgressHook says how far a run is
    'Iter(',
)
"""How those messages of MMEngine begin that are for the log file. A message that is not known is shown."""


class VerboseRunner(Runner):
    """MMEngine's runner, which tells terminal and log file everything, and sends neither what a terminal obeys."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds MMEngine's logger."""
        logger = super().build_logger(*args, **kwargs)
        make_printable(logger)
        return logger


class TerminalRunner(Runner):
    """MMEngine's runner, which tells the terminal what a person reads, and the log file everything."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds MMEngine's logger, with another handler for the terminal."""
        logger = super().build_logger(*args, **kwargs)
        tell_people(logger)
        return logger


def outlast_a_full_disk(logger: MMLogger) -> None:
    """Lets a run go on where its log file cannot be written to, and say so once; else each line gives a traceback."""
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = partial(_say_once, handler)  # type: ignore[method-assign]


def _say_once(handler: logging.FileHandler, record: logging.LogRecord) -> None:
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    why = sys.exc_info()[1]
    print(f'mmfer: warning: the log {handler.baseFilename} cannot be written to any more: {why}', file=sys.stderr)


def tell_people(logger: MMLogger) -> None:
    """Makes a logger show plain sentences on the terminal, and no dumps."""
    make_printable(logger)
    for place, handler in enumerate(logger.handlers):
        if type(handler) is logging.StreamHandler:
            logger.handlers[place] = _TerminalHandler(handler)


@contextmanager
def shown_to_people() -> Iterator[None]:
    """What a command prints and logs meanwhile is printable, and without dumps."""
    tell_people(MMLogger.get_current_instance())
    with redirect_stdout(cast(TextIO, PrintableStream(sys.stdout))):
        yield


def make_printable(logger: MMLogger) -> None:
    """Makes a logger write what names of files and classes have of escapes as letters, before handlers add colours."""
    logger.addFilter(_make_message_printable)
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and isinstance(handler.stream, PrintableStream):
            handler.setStream(handler.stream.stream)


class PrintableStream:
    """An output that gets `printable` texts of whoever prints.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Writes a text."""
        return self.stream.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _make_message_printable(record: logging.LogRecord) -> bool:
    with suppress(TypeError, ValueError):  # arguments that do not fit: logging says so itself
        record.msg, record.args = printable(record.getMessage()), None
    return True


class _TerminalHandler(logging.StreamHandler):
    """Takes the place of MMEngine's, on the same processes."""

    def __init__(self, replaced: logging.StreamHandler[TextIO]) -> None:
        super().__init__(replaced.stream)
        self.setLevel(replaced.level)
        self.filters = [*replaced.filters, _for_people]  # MMEngine's show a warning once

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.levelno < logging.WARNING:
            return text
        color = 'yellow' if record.levelno == logging.WARNING else 'red'
        return f'{colored(f"{record.levelname.lower()}:", color)} {text}'

    def emit(self, record: logging.LogRecord) -> None:
        with _around_bars():
            super().emit(record)


def _for_people(record: logging.LogRecord) -> bool:
    # A logger that is older than the process group takes every process for the main one.
    if record.levelno < logging.ERROR and (not is_main_process() or os.environ.get('RANK', '0') != '0'):
        return False
    if record.levelno > logging.INFO:
        return True
    return not getattr(record, 'file_only', False) and not record.getMessage().lstrip('\n-').startswith(MMENGINE_DUMPS)


@contextmanager
def progress_of(runner: Runner) -> Iterator[None]:
    """Shows a run's progress while it goes on, where it is told to people; however it ends, no half a bar stays."""
    if not isinstance(runner, TerminalRunner):
        yield
        return
    hook, show = ProgressHook(), warnings.showwarning

    def shown(*args: Any, **kwargs: Any) -> None:  # Python's own warnings do not tear the bar either
        with _around_bars():
            show(*args, **kwargs)

    runner.register_hook(hook)
    warnings.showwarning = shown
    try:
        yield
    finally:
        warnings.showwarning = show
        hook.close()


def _around_bars() -> AbstractContextManager[None]:
    """Takes the bars of a terminal away, and draws them again below what was written meanwhile."""
    return tqdm.external_write_mode() if sys.stderr.isatty() else nullcontext()
