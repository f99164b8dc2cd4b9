import os

import numpy as np
import pytest

from mmfer.datasets.reading.files import (
    BadLines,
    add_repeated,
    name_a_few,
    names_array,
    parse_lines,
    read_lines,
    require_inside,
    require_regular_file,
)


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


def test_a_few_names():
    assert name_a_few(['a', 'b']) == 'a, b'
    assert name_a_few(list('abcde')) == 'a, b, c, ...'


def test_letters_that_only_look_like_line_ends(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_text('a\x85b\u2028c.jpg 5\nd.jpg 6\n', encoding='utf-8')
    assert len(read_lines(str(path))) == 2


def test_another_encoding_is_said_to_be_one(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_bytes('a.jpg\ngr\xfcn.jpg\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'labels.txt:2: .*\(it is not UTF-8: save the file as UTF-8\)'):
        parse_lines(str(path), str, 'a name')


@pytest.mark.parametrize('name', ['a.jpg', 'a/b c.jpg', '..a.jpg', 'a..jpg', 'a/...b/c.jpg', '~a.jpg'])
def test_names_inside(name):
    assert require_inside(name) == name


@pytest.mark.parametrize(
    'name', ['', '/a.jpg', '../a.jpg', 'a/../../b.jpg', 'a/..', '..\\a.jpg', '\\\\host\\a.jpg', 'C:/a.jpg']
)
def test_names_that_lead_out(name):
    with pytest.raises(ValueError, match='leaves the data folder|is empty'):
        require_inside(name)


def test_repeated_names_in_the_order_of_the_lines():
    names = names_array(['a', 'b', 'a', 'c', 'b', 'a'])
    bad = BadLines('x.csv', 'names')
    add_repeated(names, np.arange(10, 16), bad)
    with pytest.raises(ValueError, match='x.csv has 3 bad lines') as error:
        bad.raise_if_any()
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        f'x.csv:{line}: {name!r} (the image is listed twice, first in line {first})'
        for line, name, first in ((12, 'a', 10), (14, 'b', 11), (15, 'a', 10))
    ]


def test_only_files_are_opened(tmp_path):
    file, folder, pipe, link, gone = (tmp_path / name for name in ('a.txt', 'folder', 'pipe', 'link', 'gone'))
    file.write_text('abc')
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to('/dev/zero')
    assert require_regular_file(file).st_size == 3
    with pytest.raises(ValueError, match=f'^{folder} is a folder; give a file$'):
        require_regular_file(str(folder))
    with pytest.raises(ValueError, match=f'^{pipe} is a pipe; give a file$'):
        require_regular_file(pipe)
    with pytest.raises(ValueError, match=rf'^{link} is a device \(a link to /dev/zero\); give a file$'):
        require_regular_file(link)
    with pytest.raises(FileNotFoundError):
        require_regular_file(gone)
