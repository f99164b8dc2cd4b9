import os

import numpy as np
import pytest

from mmfer.datasets.reading.files import (
    BadLines,
    add_repeated,
    name_a_few,
    names_array,
    require_inside,
    require_regular_file,
)


def test_a_few_names():
    assert name_a_few(['a', 'b']) == 'a, b'
    assert name_a_few(list('abcde')) == 'a, b, c, ...'


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
    gone.symlink_to(gone)
    with pytest.raises(ValueError, match=f'^{gone} is a link that leads to itself; give a file$'):
        require_regular_file(gone)
