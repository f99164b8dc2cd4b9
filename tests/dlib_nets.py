"""dlib's file format, written: networks of the shape of its face recognition, as narrow as a test needs."""

import math
import struct
from collections.abc import Iterator

import numpy as np

STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))  # as dlib's example has them: channels, blocks


def integer(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | 0x80 * (value < 0)]) + abs(value).to_bytes(size, 'little')


def fraction(value: float) -> bytes:
    mantissa, exponent = math.frexp(struct.unpack('f', struct.pack('f', value))[0])
    return integer(round(mantissa * 2**24)) + integer(exponent - 24)


def name(text: str) -> bytes:
    return integer(len(text)) + text.encode()


def integers(*values: int) -> bytes:
    return b''.join(map(integer, values))


def tensor(values: np.ndarray, *shape: int) -> bytes:
    return integers(2, *(shape or (values.size, 1, 1, 1))) + values.astype('<f4').tobytes()


EMPTY = tensor(np.zeros(0), 0, 0, 0, 0)


def layer(kind: str, details: bytes = b'', lowest: bool = False) -> bytes:
    return name(kind) + details + b'110' + 3 * EMPTY + (integer(1) if lowest else b'')


def convolution(rng: np.random.Generator, given: int, channels: int, side: int, lowest: bool = False) -> bytes:
    values = rng.normal(size=channels * given * side**2 + channels) / (given * side**2) ** 0.5
    shapes = integers(1, channels, given, side, side, 1, 1, channels, 1, 1)
    settings = integers(channels, side, side, 1, 1, 0, 0)
    return layer('con_4', tensor(values) + settings + shapes + 4 * fraction(1.0), lowest)


def affine(rng: np.random.Generator, channels: int) -> bytes:
    shapes = integers(1, 1, channels, 1, 1) * 2
    return layer('affine_', tensor(rng.normal(size=2 * channels)) + shapes + integer(0))


def layers(rng: np.random.Generator, width: int, stages: tuple[tuple[int, int], ...]) -> Iterator[bytes]:
    """From the input up."""
    pool = integers(2, 2, 2, 2, 0, 0)
    yield convolution(rng, 3, width, 7, lowest=True)
    yield affine(rng, width)
    yield layer('relu_')
    yield layer('max_pool_2', pool)
    for stage, (channels, blocks) in enumerate(stages):
        for block in range(blocks):
            yield convolution(rng, width, channels, 3)
            yield affine(rng, channels)
            yield layer('relu_')
            yield convolution(rng, channels, channels, 3)
            yield affine(rng, channels)
            if stage and not block:
                yield layer('avg_pool_2', pool)
            yield layer('add_prev_')
            yield layer('relu_')
            width = channels
    yield layer('avg_pool_2', pool)
    values = rng.normal(size=(width, 5))
    shapes = integers(1, width, 5, 1, 1, 1, 0, 0, 0, 0)
    yield layer('fc_2', integers(5, width) + tensor(values, width, 5, 1, 1) + shapes + integer(1) + 4 * fraction(1.0))


def face_net(width: int = 2, seed: int = 0, stages: tuple[tuple[int, int], ...] | None = None) -> bytes:
    """A file of dlib's face recognition with as many layers, all of one width where none is given."""
    rng = np.random.default_rng(seed)
    written = list(layers(rng, width, stages or tuple((width, blocks) for _, blocks in STAGES)))
    head = integer(1) + name('loss_metric_2') + fraction(0.04) + fraction(0.6)
    pieces = integers(*[2, 1] * (len(written) - 1), 3)  # tags among the layers
    mean = fraction(122.782) + fraction(117.001) + fraction(104.298)
    return head + pieces + name('input_rgb_image_sized') + mean + integers(150, 150) + b''.join(written)
