"""How far long work is: a bar on a terminal, plain lines where there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from mmengine.dist import is_main_process
from tqdm import tqdm

_SECONDS_UNSHOWN = 1
_SECONDS_A_LINE = 60
_USUAL_WIDTH = 80
_PLAIN = '{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]'


class ProgressBar(tqdm):
    """`tqdm` with rate and time left, for people and for files of output alike.

    On a terminal a bar appears once the work takes more than a second, and goes when it is done. Elsewhere (a pipe,
    nohup, CI) a plain line is written every minute. Of several processes the main one shows it.

    Args:
        items: What to go through. Defaults to None: `update` is called.
        kwargs: Of `tqdm`, such as `total`, `desc` and `unit`.
    """

    disable: bool  # tqdm's

    def __init__(self, items: Iterable[Any] | None = None, **kwargs: Any) -> None:
        self._plain = not sys.stderr.isatty()
        if self._plain:
            look: dict[str, Any] = dict(mininterval=_SECONDS_A_LINE, miniters=1, bar_format=_PLAIN)
        elif os.get_terminal_size(sys.stderr.fileno()).columns:
            look = dict(dynamic_ncols=True)
        else:  # a terminal that does not know its size, for which tqdm would show nothing
            look = dict(ncols=_USUAL_WIDTH)
        super().__init__(items, leave=False, delay=_SECONDS_UNSHOWN, disable=not is_main_process(), **look, **kwargs)

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        """What writes the bar anew: over itself on a terminal, as a line of its own elsewhere."""
        if file.isatty():
            return tqdm.status_printer(file)
        return lambda line: print(line, file=file, flush=True) if line else None

    def moveto(self, n: int) -> None:
        """Goes up and down between the bars of a terminal."""
        if not self._plain:
            super().moveto(n)

    def close(self) -> None:
        """Takes the bar away; plain lines stay."""
        if not self._plain:
            super().close()
        elif not self.disable:
            self.disable = True
            self._decr_instances(self)
