import io
import pickle
import random
import zipfile
from contextlib import suppress

import pytest
import torch

from mmfer.structures.tensor_file import UnreadableError, read_tensor_file, save_sealed, write_sealed

CONTENT = dict(state_dict={'a.weight': torch.arange(700.0), 'b': torch.arange(9)}, meta=dict(cfg='model = 1\n' * 30))


@pytest.fixture
def file(tmp_path):
    torch.save(CONTENT, tmp_path / 'x.pth')
    return tmp_path / 'x.pth'


def is_whole(read):
    return read['meta'] == CONTENT['meta'] and all(
        torch.equal(read['state_dict'][name], value) for name, value in CONTENT['state_dict'].items()
    )


def test_what_was_written_is_read(file):
    assert is_whole(read_tensor_file(file))
    torch.save(CONTENT, file, _use_new_zipfile_serialization=False)
    assert is_whole(read_tensor_file(str(file)))


def test_no_flipped_bit_is_read_as_another_value(file):
    """Those in the zip's own padding change nothing; torch alone would read some as other weights."""
    data, draw = file.read_bytes(), random.Random(0)
    told = unnoticed_by_torch = 0
    for _ in range(1500):
        place = draw.randrange(8 * len(data))
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        try:
            assert is_whole(read_tensor_file(file))
        except UnreadableError:
            told += 1
            with suppress(Exception):
                unnoticed_by_torch += not is_whole(torch.load(file, weights_only=True))
    assert told > 1000
    assert unnoticed_by_torch > 500


def test_no_part_of_a_file_is_read_as_a_file(file):
    data = file.read_bytes()
    for size in range(0, len(data), 97):
        file.write_bytes(data[:size])
        with pytest.raises(UnreadableError):
            read_tensor_file(file)


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'<html>404</html>', pickle.dumps(print)])
def test_what_is_no_such_file(content, tmp_path):
    (tmp_path / 'x.pth').write_bytes(content)
    with pytest.raises(UnreadableError):
        read_tensor_file(tmp_path / 'x.pth')


@pytest.fixture
def sealed(tmp_path):
    """A small file with its seal."""
    stream = io.BytesIO()
    torch.save(dict(weight=torch.arange(6.0), name='x'), stream)
    path = tmp_path / 'sealed.pth'
    with path.open('wb') as file:
        write_sealed(file, stream.getvalue())
    return path


def test_a_sealed_file_is_read_by_torch_too(sealed):
    assert torch.equal(torch.load(sealed, weights_only=True)['weight'], torch.arange(6.0))
    assert read_tensor_file(sealed)['name'] == 'x'
    with zipfile.ZipFile(sealed) as archive:
        assert archive.comment.startswith(b'mmfer sha256 ')


def test_every_flipped_bit_and_every_cut_of_a_sealed_file_is_told(sealed):
    data = sealed.read_bytes()
    unseen = []
    end = 8 * (len(data) - 110)  # of zip, and the seal
    places = [*range(0, end, 7), *range(end, 8 * len(data))]
    for place in places:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        sealed.write_bytes(damaged)
        with suppress(UnreadableError):
            read_tensor_file(sealed)
            unseen.append(place)
    for size in range(len(data)):
        sealed.write_bytes(data[:size])
        with suppress(UnreadableError):
            read_tensor_file(sealed)
            unseen.append(-size)
    sealed.write_bytes(data + b'x')
    with suppress(UnreadableError):
        read_tensor_file(sealed)
        unseen.append('longer')
    assert unseen == []


def test_what_torch_did_not_write_is_not_sealed():
    for content in (b'', b'text', b'PK\x03\x04 and no end'):
        stream = io.BytesIO()
        write_sealed(stream, content)
        assert stream.getvalue() == content


def test_what_is_written_straight_is_what_is_written_from_memory(sealed):
    stream = io.BytesIO()
    save_sealed(stream, dict(weight=torch.arange(6.0), name='x'))
    assert stream.getvalue() == sealed.read_bytes()


@pytest.mark.parametrize('room', [0, 1, 700, 10_000])
def test_a_disk_that_is_full_while_torch_writes_is_told(room):
    class Small(io.BytesIO):
        def write(self, content):
            if self.tell() + len(content) > room:
                raise OSError(28, 'No space left on device')
            return super().write(content)

    with pytest.raises(OSError, match='No space left'):
        save_sealed(Small(), dict(weight=torch.zeros(100_000)))
