import numpy as np
import pytest

from mmfer.datasets.reading.column_cache import cached_columns


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Columns of a file through the cache, and how often they were made."""
    monkeypatch.setenv('MMFER_CACHE', str(tmp_path / 'cache'))
    source, made = tmp_path / 'labels.csv', []
    source.write_text('x')

    def make():
        made.append(1)
        return dict(
            name=np.array(['grün 1.jpg', 'b.jpg'], dtype=np.dtypes.StringDType()),
            label=np.array([3, 1]),
            landmarks=np.full((2, 68, 2), np.nan, np.float32),
        )

    return lambda: (cached_columns(str(source), make), len(made))


def test_made_once(read):
    (first, _), (again, made) = read(), read()
    assert made == 1
    assert again.keys() == first.keys()
    for key in first:
        assert again[key].dtype == first[key].dtype
        np.testing.assert_array_equal(again[key], first[key])


def test_made_again_when_the_source_has_changed(read, tmp_path):
    read()
    (tmp_path / 'labels.csv').write_text('xy')
    assert read()[1] == 2
    assert read()[1] == 2


@pytest.mark.parametrize('damage', [b'', b'PK not really', None])
def test_a_damaged_file_is_written_again(read, tmp_path, damage):
    read()
    (kept,) = (tmp_path / 'cache').rglob('*.npz')
    kept.write_bytes(kept.read_bytes()[:-300] if damage is None else damage)
    assert read()[1] == 2
    assert read()[1] == 2
    assert [path.name for path in (tmp_path / 'cache').rglob('*.*')] == [kept.name]


def test_where_nothing_can_be_written(read, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('mmfer.datasets.reading.column_cache.print_log', lambda text, **kwargs: lines.append(text))
    (tmp_path / 'cache').write_text('a file, not a folder')
    assert read()[0]['label'].tolist() == [3, 1]
    assert len(lines) == 1
    assert 'cannot be written' in lines[0]


def test_nowhere(read, tmp_path, monkeypatch):
    monkeypatch.setenv('MMFER_CACHE', '')
    assert [read()[1], read()[1]] == [1, 2]
    assert not (tmp_path / 'cache').exists()
