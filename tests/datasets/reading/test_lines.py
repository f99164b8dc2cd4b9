import os

import pytest

from mmfer.datasets.reading.lines import parse_lines, read_lines


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_any_editor_will_do(tmp_path, encoding, end):
    path = tmp_path / 'labels.txt'
    path.write_bytes(end.join(['grün.jpg\t5', '', 'b.jpg 1 ', '']).encode(encoding))
    assert parse_lines(str(path), str.split, 'name label') == [['grün.jpg', '5'], ['b.jpg', '1']]
    assert read_lines(str(path))[0] == 'grün.jpg\t5'


def test_bad_lines_are_listed_together(tmp_path):
    path = tmp_path / 'numbers.txt'
    path.write_text('1\ntwo\n\n3\nfour\n')
    with pytest.raises(ValueError, match='has 2 bad lines; expected a number') as error:
        parse_lines(str(path), int, 'a number a line')
    assert f"{path}:2: 'two'" in str(error.value)
    assert f"{path}:5: 'four'" in str(error.value)


def test_no_more_than_ten_bad_lines(tmp_path):
    path = tmp_path / 'numbers.txt'
    path.write_text('x\n' * 25)
    with pytest.raises(ValueError, match=r'has 25 bad lines(.|\n)*:10: (.|\n)* and 15 more') as error:
        parse_lines(str(path), int, 'a number')
    assert ':11:' not in str(error.value)


def test_letters_that_only_look_like_line_ends(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_text('a\x85b\u2028c.jpg 5\nd.jpg 6\n', encoding='utf-8')
    assert len(read_lines(str(path))) == 2


def test_another_encoding_is_said_to_be_one(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_bytes('a.jpg\ngr\xfcn.jpg\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'labels.txt:2: .*\(it is not UTF-8: save the file as UTF-8\)'):
        parse_lines(str(path), str, 'a name')


def test_every_line_that_is_bad_is_said_to_be(tmp_path):
    path = tmp_path / 'numbers.txt'
    path.write_text('one\n\ntwo\n')
    sentence = 'has 2 bad lines, which is every line there is: it may be another file; expected a number a line; '
    with pytest.raises(ValueError, match=sentence):
        parse_lines(str(path), int, 'a number a line')
    path.write_text('one\n')
    with pytest.raises(ValueError, match='has 1 bad line; expected'):
        parse_lines(str(path), int, 'a number a line')


@pytest.mark.parametrize(
    ('data', 'sentence'),
    [
        (b'1\n2\n3\0\n', r'a\.txt:3: there is a zero byte, which no text has; give a text file, saved as UTF-8'),
        ('1\n2\n'.encode('utf-16-le'), r'a\.txt:1: there is a zero byte'),
        (b'1\n' + b'2' * 100_001, r'a\.txt:2: the line has more than 100,000 characters'),
        (b'1\n' * 40_000 + b'2' * 200_000 + b'\n3\n', r'a\.txt:40001: the line has more than 100,000 characters'),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(tmp_path, data, sentence):
    path = tmp_path / 'a.txt'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=sentence):
        read_lines(str(path))


def test_a_line_may_be_long(tmp_path):
    path = tmp_path / 'a.txt'
    lines = ['a' * 100_000, '', 'b' * 99_999, *map(str, range(40_000))]
    path.write_text('\n'.join(lines))
    assert read_lines(str(path)) == lines


def test_twelve_gigabytes_of_nothing_are_refused_at_once(tmp_path):
    path = tmp_path / 'sparse.txt'
    path.touch()
    os.truncate(path, 12 * 2**30)
    with pytest.raises(ValueError, match=r'sparse\.txt:1: there is a zero byte'):
        read_lines(str(path))


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.txt')
    (tmp_path / 'zero.txt').symlink_to('/dev/zero')
    for name, kind in (('pipe.txt', 'a pipe'), ('zero.txt', 'a device'), ('', 'a folder')):
        with pytest.raises(ValueError, match=f'is {kind}'):
            read_lines(str(tmp_path / name))


@pytest.mark.parametrize('data', [b'', b'\xef\xbb\xbf', b'\xff\xfe', b'\n\n'])
def test_nothing_is_no_line(tmp_path, data):
    path = tmp_path / 'a.txt'
    path.write_bytes(data)
    assert parse_lines(str(path), int, 'a number') == []


def test_half_a_letter_of_utf16_is_not_utf8(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes('1\n23'.encode('utf-16')[:-1])
    with pytest.raises(ValueError, match=r'a\.txt:2: .*it is not UTF-8'):
        parse_lines(str(path), int, 'a number')
