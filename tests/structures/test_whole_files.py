import pytest

from mmfer.structures.whole_files import written_whole


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'x.csv'
    with written_whole(path) as stream:
        stream.write('a')
        assert not path.exists()
    assert path.read_text() == 'a'
    assert [file.name for file in path.parent.iterdir()] == ['x.csv']


def test_what_was_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / 'x.bin'
    path.write_bytes(b'before')
    with pytest.raises(TypeError), written_whole(path, 'wb') as stream:
        stream.write('no bytes')
    assert path.read_bytes() == b'before'
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_place_of_the_unfinished_file_is_not_followed(tmp_path):
    other, path = tmp_path / 'other', tmp_path / 'x.csv'
    other.write_text('kept')
    path.with_name('x.csv.part').symlink_to(other)
    with written_whole(path) as stream:
        stream.write('a')
    assert (path.read_text(), other.read_text()) == ('a', 'kept')
    assert not path.is_symlink()
