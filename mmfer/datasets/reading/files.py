"""Files and names of files as people have them, and saying plainly what is wrong with them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

import numpy as np

from mmfer.datasets.reading.names import normal_names
from mmfer.structures.printable import printable_name

_SHOWN_LINES, _SHOWN_LETTERS = 10, 80
SHOWN_NAMES = 3
_AT_ONCE = 100_000
"""Names; ten million at once would be a gigabyte of str."""
IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')


_KINDS = (
    (stat.S_ISDIR, 'a folder'),
    (stat.S_ISFIFO, 'a pipe'),
    (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'),
)


def require_regular_file(path: str | os.PathLike[str]) -> os.stat_result:
    """What the system says of a file, before it is opened: a pipe would wait for ever, ``/dev/zero`` never end.

    Raises:
        OSError: There is no such file (FileNotFoundError), or it may not be looked at.
        ValueError: It is no file but a folder, pipe or device, or a link to one or to itself.
    """
    try:
        state = os.stat(path)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise ValueError(f'{os.fspath(path)} is a link that leads to itself; give a file') from None
    if kind := irregular_kind(path, state):
        raise ValueError(f'{os.fspath(path)} is {kind}; give a file')
    return state


def irregular_kind(path: str | os.PathLike[str], state: os.stat_result) -> str:
    """What something is that is no file, such as 'a device (a link to /dev/zero)'; '' for a file."""
    if stat.S_ISREG(state.st_mode):
        return ''
    kind = next((name for is_kind, name in _KINDS if is_kind(state.st_mode)), 'no file')
    return kind + (f' (a link to {os.path.realpath(path)})' if os.path.islink(path) else '')


class BadLines:
    """Collects the lines of a file that cannot be used, to name them all in one error.

    Args:
        path: The text file.
        expected: What a line should look like, for the message.
    """

    def __init__(self, path: str, expected: str):
        self.path, self.expected = path, expected
        self.looked_at = 0
        """How many lines were read, good or bad: whoever reads them counts."""
        self.read_as = ''
        """What was taken for what, where the file does not say it in our words."""
        self._bad = bytearray()  # of ten million lines a set would take half a gigabyte
        self._count = 0
        self._shown: list[tuple[int, str]] = []

    def add(self, number: int, line: str, reason: str = '') -> None:
        """A line, counted from 1, and why it is bad."""
        if number >= len(self._bad):
            self._bad.extend(bytes(number + 1 - len(self._bad)))
        self._count += not self._bad[number]
        self._bad[number] = 1
        if len(self._shown) < _SHOWN_LINES:
            reason = 'it is not UTF-8: save the file as UTF-8' if '\ufffd' in line else reason
            if len(reason) > 2 * _SHOWN_LETTERS:  # the cell that it names is long
                reason = f'{reason[:_SHOWN_LETTERS]} ... {reason[-_SHOWN_LETTERS:]}'
            text = f'\n  {self.path}:{number}: {line.strip()[:_SHOWN_LETTERS]!r}' + (f' ({reason})' if reason else '')
            self._shown.append((number, text))

    def raise_if_any(self) -> None:
        """Raises ValueError with count, and file, number and text of the first ten."""
        if not self._count:
            return
        every = ''
        if self._count >= self.looked_at > 1:
            columns = f', or other columns may be meant than {self.read_as}' if self.read_as else ''
            every = f', which is every line there is: it may be another file{columns}'
        shown = ''.join(text for _, text in sorted(self._shown))
        numbers = {number for number, _ in self._shown}
        more = f'\n  ... and {self._count - len(numbers):,} more' if self._count > len(numbers) else ''
        raise ValueError(
            f'{self.path} has {self._count:,} bad line{"s" * (self._count > 1)}{every}; expected {self.expected}; '
            f'correct or remove:{shown}{more}'
        )


def names_array(names: Sequence[str] | np.ndarray) -> np.ndarray:
    """Names as numpy's compact strings: 16 bytes each and what exceeds 15 letters, shared by workers after a fork.

    Where a file's name is no UTF-8, which these cannot hold, as strings of equal length.
    """
    try:
        return np.asarray(names, dtype=np.dtypes.StringDType())
    except (UnicodeEncodeError, TypeError):  # of lists, and of arrays
        return np.asarray(names, dtype=np.str_)


def add_repeated(names: np.ndarray, lines: np.ndarray, bad: BadLines) -> None:
    """Adds the lines whose name has stood before; for ten million names without a set of them.

    Names are compared by :func:`~mmfer.datasets.reading.names.normal_name`.

    Args:
        names: numpy's compact strings, [N].
        lines: Where they stand, [N].
        bad: What they are added to.
    """
    given = names
    for start in range(0, len(names), _AT_ONCE):
        some = given[start : start + _AT_ONCE].tolist()
        normal = normal_names(some)
        if normal is not some:
            names = names.copy() if names is given else names
            names[start : start + _AT_ONCE] = normal
    hashes = np.fromiter((hash(name) for name in names), dtype=np.int64, count=len(names))
    order = np.argsort(hashes, kind='stable')
    hashes = hashes[order]
    same = np.flatnonzero(hashes[1:] == hashes[:-1])
    first: dict[str, int] = {}
    for earlier, later in sorted(zip(order[same].tolist(), order[same + 1].tolist(), strict=True)):
        if names[earlier] == names[later]:  # two names may share a hash
            where = first.setdefault(str(names[earlier]), int(lines[earlier]))
            bad.add(int(lines[later]), str(names[later]), f'the image is listed twice, first in line {where}')


def require_inside(name: str) -> str:
    """The name itself, if it stays in its folder.

    Raises:
        ValueError: It is empty, absolute, climbs out with '..', is not UTF-8, or has a zero byte, which no file's
            name has.
    """
    if not name:
        raise ValueError('the name is empty')
    if '\ufffd' in name:
        raise ValueError('the name is not UTF-8')
    if '\0' in name:
        raise ValueError('the name has a zero byte')
    if name[0] in '/\\' or name[1:2] == ':' or ('..' in name and '..' in name.replace('\\', '/').split('/')):
        raise ValueError('the path leaves the data folder: give one relative to it, without ..')
    return name


def add_outside(names: Sequence[str], lines: np.ndarray, bad: BadLines) -> None:
    """Adds the lines whose name does not stay in its folder."""
    text = '\n'.join(['', *names, ''])
    if any(mark in text for mark in ('\n\n', '\n/', '..', '\\', ':', '\0')):  # which takes no time where there is none
        for line, name in zip(lines.tolist(), names, strict=True):
            try:
                require_inside(name)
            except ValueError as error:
                bad.add(line, name, str(error))


def name_a_few(names: Sequence[str]) -> str:
    """``a.jpg, b.jpg, c.jpg, ...``: the first three names."""
    return ', '.join(map(printable_name, names[:SHOWN_NAMES])) + (', ...' if len(names) > SHOWN_NAMES else '')


def require_paths(dataset: str, root: str, paths: Sequence[str], how_to_get: str) -> None:
    """Raises FileNotFoundError, with the cure, unless all ``paths`` are in ``root``."""
    missing = [path for path in paths if not os.path.exists(os.path.join(root, path))]
    if missing:
        raise FileNotFoundError(
            f'{dataset} expects {" and ".join(missing)} in data_root={root!r}, which '
            f'{"lacks this" if os.path.isdir(root) else "does not exist"} ({os.path.abspath(root)}); {how_to_get}; '
            f'if you have it elsewhere, link it: ln -s /your/folder {root}'
        )


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image; hidden files are none."""
    return name.lower().endswith(IMAGE_EXTENSIONS) and not name.startswith('.')
