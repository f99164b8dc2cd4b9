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
