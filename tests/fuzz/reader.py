"""What is fuzzed: a file, what reads it, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reader:
    """A file that is written with whatever bytes, and read.

    Args:
        file: The file.
        read: Reads it.
        seeds: Bytes that are read, or nearly: what mutations begin with.
        wrap: Makes a file of what ``parts`` are mutated to, with checksums and lengths that are right, so that what is
            behind these is reached, too.
        parts: What ``wrap`` takes.
        refuses: What ``read`` may raise, with the file's name, or
        named: what stands for it in the message: the folder of landmarks that it is one of.
    """

    file: Path
    read: Callable[[], object]
    seeds: Sequence[bytes]
    wrap: Callable[[bytes], bytes] = bytes
    parts: Sequence[bytes] = ()
    refuses: tuple[type[Exception], ...] = (ValueError, FileNotFoundError)
    named: str = ''

    def check(self, data: bytes) -> bool:
        """Whether it is read; fails unless it is, or is refused as documented."""
        self.file.write_bytes(data)
        try:
            self.read()
        except self.refuses as error:
            refusal = error
        else:
            return True
        assert type(refusal) in self.refuses, repr(refusal)  # such as UnicodeError, a ValueError of somebody else
        assert (self.named or self.file.name) in str(refusal), f'{refusal!r} does not name {self.file.name}'
        assert len(str(refusal)) < 5000, f'{str(refusal)[:200]} ... fills the screen'
        return False
