"""Networks as dlib writes them: a stack of layers, from the loss down to the input, in one file.

All that precedes a tensor is counts, names and flags of a few bytes each, and the tensors are plain: nothing in such a
file can be run. Every size is compared with the bytes that are left before anything of that size is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from mmfer.structures.tensor_file import UnreadableError

_SETTINGS = {
    'con_4': 'TIIIIIIISSFFFF',
    'affine_': 'TSSI',
    'relu_': '',
    'add_prev_': '',
    'max_pool_2': 'IIIIII',
    'avg_pool_2': 'IIIIII',
    'fc_2': 'IITSSIFFFF',
}
"""What follows a layer's name: its Tensor, Integers, Shapes of the tensor's parts, and Fractions."""

_TAG, _LAYER, _LOWEST = 1, 2, 3
"""Which version of itself each piece of the stack says it is; tags hold nothing."""
_MOST_PIECES, _LONGEST_NAME = 1000, 64


@dataclass(frozen=True)
class DlibLayer:
    """A layer of a network.

    Args:
        kind: Its name in the file, with the version of its format: 'con_4'.
        parts: What is learned, each [num_samples, k, nr, nc] as dlib counts: of a convolution its filters
            [out, in, height, width] and biases [1, out, 1, 1].
    """

    kind: str
    parts: tuple[Tensor, ...]


@dataclass(frozen=True)
class DlibNetwork:
    """A network that was trained by a loss on descriptors.

    Args:
        mean: What is subtracted from red, green and blue of 0 to 255, before they are divided by 256.
        layers: From the input up.
    """

    mean: tuple[float, float, float]
    layers: tuple[DlibLayer, ...]


def read_dlib_network(path: str | Path) -> DlibNetwork:
    """Reads a network of layers such as those of dlib's face recognition, to which `loss_metric` belongs.

    Raises:
        UnreadableError: It is another file, or a damaged one; says what is wrong in a few words.
    """
    with Path(path).open('rb') as stream:
        reader = _Reader(stream)
        reader.expect('version of the whole', reader.integer(), 1)
        reader.expect('loss', reader.name(), 'loss_metric_2')
        reader.fractions(2)  # margin and threshold of the loss
        pieces = [reader.integer()]
        while pieces[-1] != _LOWEST:
            if pieces[-1] not in (_TAG, _LAYER) or len(pieces) == _MOST_PIECES:
                raise UnreadableError(f'its stack of layers has a piece of an unknown kind, {pieces[-1]}')
            pieces.append(reader.integer())
        reader.expect('input', reader.name(), 'input_rgb_image_sized')
        red, green, blue = reader.fractions(3)
        reader.integers(2)  # the size of its images, which a network of convolutions does not depend on
        layers = [reader.layer(lowest=True)]
        layers += [reader.layer() for piece in pieces if piece == _LAYER]
        if reader.left:
            raise UnreadableError(f'{reader.left} bytes follow its last layer')
    return DlibNetwork((red, green, blue), tuple(layers))


class _Reader:
    """Takes one thing after another from a file.

    Args:
        stream: Of the file.
    """

    def __init__(self, stream: BinaryIO):
        self._stream, self.left = stream, os.fstat(stream.fileno()).st_size

    def layer(self, lowest: bool = False) -> DlibLayer:
        """The next layer up, without what training has left behind it."""
        kind = self.name()
        if kind not in _SETTINGS:
            raise UnreadableError(f'it has a layer {kind!r}, which is not known here')
        tensors, shapes = [], []
        for code in _SETTINGS[kind]:
            if code == 'T':
                tensors.append(self.tensor())
            elif code == 'S':
                self.expect('version of a shape', self.integer(), 1)
                shapes.append(self.integers(4))
            elif code == 'I':
                self.integer()
            else:
                self.fractions(1)
        self.take(3)  # flags
        for _ in range(3):  # gradients and outputs
            self.tensor()
        if lowest:
            self.integer()  # how many samples an image becomes
        return DlibLayer(kind, _split(kind, tensors[0], shapes) if tensors else ())

    def tensor(self) -> Tensor:
        """A flat tensor of float32; what it is made of is said by the shapes that follow it."""
        self.expect('version of a tensor', self.integer(), 2)
        count = math.prod(self.integers(4))
        if 4 * count > self.left:
            raise UnreadableError(f'it has a tensor of {count} values, and {self.left} bytes are left')
        values = torch.from_numpy(np.frombuffer(self.take(4 * count), '<f4').astype(np.float32))
        if not values.isfinite().all():
            raise UnreadableError('it has values that are not finite')
        return values

    def name(self) -> str:
        length = self.integer()
        if not 0 < length <= _LONGEST_NAME:
            raise UnreadableError(f'it has a name of {length} letters')
        return self.take(length).decode('ascii', 'backslashreplace')

    def integers(self, count: int) -> tuple[int, ...]:
        """Sizes, none of which is negative."""
        values = tuple(self.integer() for _ in range(count))
        if min(values) < 0:
            raise UnreadableError(f'it has a size of {min(values)}')
        return values

    def integer(self) -> int:
        """A number in as many bytes as its first byte says, the lowest first; the first byte has the sign, too."""
        (head,) = self.take(1)
        size = head & 0x0F
        if head & 0x70 or not 0 < size <= 8:
            raise UnreadableError(f'byte {self._stream.tell() - 1} begins no number')
        value = int.from_bytes(self.take(size), 'little')
        return -value if head & 0x80 else value

    def fractions(self, count: int) -> list[float]:
        """Numbers that are each an integer times a power of two."""
        pairs = [(self.integer(), self.integer()) for _ in range(count)]
        try:
            return [math.ldexp(mantissa, exponent) for mantissa, exponent in pairs]
        except OverflowError:
            raise UnreadableError('it has a number that is not finite') from None

    def take(self, count: int) -> bytes:
        taken = self._stream.read(count) if count <= self.left else b''
        if len(taken) < count:
            raise UnreadableError('it ends too early')
        self.left -= count
        return taken

    def expect(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            raise UnreadableError(f'the {what} is {found!r}, not {expected!r}')


def _split(kind: str, values: Tensor, shapes: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
    """The parts of a layer's tensor, of the shapes that are said of them; one that is empty is left out."""
    sizes = [math.prod(shape) for shape in shapes]
    if sum(sizes) != len(values):
        raise UnreadableError(f'a layer {kind!r} has {len(values)} values, and its parts {sum(sizes)}')
    return tuple(part.view(shape) for part, shape in zip(values.split(sizes), shapes, strict=True) if part.numel())
