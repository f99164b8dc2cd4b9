"""dlib's file format: what is written is read, and of what is damaged nothing is made."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from dlib_nets import EMPTY, face_net, fraction, integer, layer, name, tensor

from mmfer.structures.dlib_file import read_dlib_network
from mmfer.structures.tensor_file import UnreadableError


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / 'net.dat'


def test_every_layer_is_read_from_the_input_up(file):
    file.write_bytes(face_net(3))
    network = read_dlib_network(file)
    assert network.mean == pytest.approx((122.782, 117.001, 104.298), abs=1e-5)
    kinds = [layer.kind for layer in network.layers]
    assert [kinds.count(kind) for kind in ('con_4', 'affine_', 'add_prev_', 'avg_pool_2', 'fc_2')] == [29, 29, 14, 5, 1]
    first, norm, last = network.layers[0], network.layers[1], network.layers[-1]
    assert [part.shape for part in first.parts] == [(3, 3, 7, 7), (1, 3, 1, 1)]
    assert [part.shape for part in norm.parts] == [(1, 3, 1, 1), (1, 3, 1, 1)]
    assert [part.shape for part in last.parts] == [(3, 5, 1, 1)]  # it has no biases
    values = (np.random.default_rng(0).normal(size=3 * 147 + 3) / 147**0.5).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([part.numpy().ravel() for part in first.parts]), values)


@pytest.mark.parametrize('value', [0, 1, 255, 256, -1, -300, 2**63])
def test_integers_are_as_long_as_they_need_to_be(value, file):
    """A fraction is an integer times a power of two: here the mean of red."""
    whole = face_net()
    file.write_bytes(whole.replace(fraction(122.782), integer(value) + integer(-3), 1))
    assert read_dlib_network(file).mean[0] == value / 8


HUGE = integer(2) + integer(2**60) + integer(2**60) + integer(1) + integer(1)
WRONG = {
    'no file of dlib': (lambda whole: b'\x89PNG\r\n\x1a\n' + whole, 'byte 0 begins no number'),
    'nothing': (lambda whole: b'', 'it ends too early'),
    'half': (lambda whole: whole[: len(whole) // 2], 'it ends too early|bytes are left'),
    'more than all': (lambda whole: whole + b'more', '4 bytes follow its last layer'),
    'another loss': (
        lambda whole: whole.replace(name('loss_metric_2'), name('loss_mmod_')),
        "the loss is 'loss_mmod_'",
    ),
    'another layer': (
        lambda whole: whole.replace(layer('relu_'), layer('prelu_'), 1),
        "it has a layer 'prelu_', which is not known here",
    ),
    'a huge tensor': (lambda whole: whole.replace(EMPTY, HUGE, 1), 'it has a tensor of 13292279957849158729'),
    'a negative size': (lambda whole: whole.replace(EMPTY, HUGE.replace(integer(1), integer(-1)), 1), 'a size of -1'),
    'a long name': (lambda whole: whole.replace(name('con_4'), name('c' * 65), 1), 'it has a name of 65 letters'),
    'an endless number': (
        lambda whole: whole.replace(fraction(122.782), integer(1) + integer(5000)),
        'it has a number that is not finite',
    ),
    'no number': (
        lambda whole: whole.replace(EMPTY, tensor(np.full(1, np.nan)), 1),
        'it has values that are not finite',
    ),
    'other shapes': (
        lambda whole: whole.replace(integer(1) + integer(2) + integer(3) + integer(7), integer(1) * 2 + integer(3) * 2),
        "a layer 'con_4' has 296 values, and its parts",
    ),
}


@pytest.mark.parametrize('wrong', WRONG)
def test_what_is_wrong_is_said(wrong, file):
    change, sentence = WRONG[wrong]
    changed = change(face_net())
    assert changed != face_net()
    file.write_bytes(changed)
    with pytest.raises(UnreadableError, match=sentence) as caught:
        read_dlib_network(file)
    assert '\n' not in str(caught.value)


def damaged(rng: random.Random, whole: bytes) -> bytes:
    """A file in which something is flipped, cut, left out, doubled, or made another number."""
    start, length = rng.randrange(len(whole)), rng.choice([1, 1, 2, 5, 20, 300])
    end = min(len(whole), start + length)
    return rng.choice(
        [
            whole[:start] + bytes([whole[start] ^ 1 << rng.randrange(8)]) + whole[start + 1 :],
            whole[:start],
            whole[:start] + whole[end:],
            whole[:end] + whole[start:],
            whole[:start] + rng.randbytes(length) + whole[end:],
            whole[:start] + integer(rng.choice([0, -1, 2**15, 2**31, 2**62, -(2**63)])) + whole[start + 1 :],
        ]
    )


SMALL = face_net(stages=((2, 1), (2, 1)))


def test_a_thousand_damaged_files_are_read_or_refused_in_a_sentence(file):
    rng, read, sentences = random.Random(7), 0, set()
    for _ in range(1000):
        file.write_bytes(damaged(rng, SMALL))
        try:
            network = read_dlib_network(file)
        except UnreadableError as error:
            sentences.add(str(error))
        else:
            read += 1
            assert sum(part.numel() for layer in network.layers for part in layer.parts) < len(SMALL)
    assert 50 < read < 500  # most of the file is weights, whose bits nothing checks
    assert len(sentences) > 30
    assert all('\n' not in sentence and len(sentence) < 200 for sentence in sentences)


@pytest.mark.parametrize('count', [2**20, 2**31, 2**62])
def test_nothing_is_made_of_a_size_that_is_not_there(count, file):
    file.write_bytes(SMALL.replace(EMPTY, EMPTY.replace(integer(0) * 4, integer(count) + integer(1) * 3), 1))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match=f'it has a tensor of {count} values, and .* bytes are left'):
            read_dlib_network(file)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
