import os

import pytest

from mmfer.datasets.files import missing_files, name_a_few, parse_lines, read_lines


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


def test_each_folder_is_listed_once_and_nothing_is_statted(tmp_path, monkeypatch):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        for i in range(50):
            (tmp_path / folder / f'{i}.jpg').touch()
    names = [f'{folder}/{i}.jpg' for i in range(52) for folder in ('a', 'b', 'c')]
    listed, statted = [], []
    monkeypatch.setattr(os, 'listdir', lambda place, real=os.listdir: listed.append(place) or real(place))
    monkeypatch.setattr(os, 'stat', lambda *args, real=os.stat, **kwargs: statted.append(args) or real(*args, **kwargs))
    missing = missing_files(str(tmp_path), names)
    assert sorted(missing) == sorted(n for n in names if n.startswith('c/') or n.endswith(('/50.jpg', '/51.jpg')))
    assert len(listed) == 2
    assert len(statted) <= 3


def test_a_few_names():
    assert name_a_few(['a', 'b']) == 'a, b'
    assert name_a_few(list('abcde')) == 'a, b, c, ...'
