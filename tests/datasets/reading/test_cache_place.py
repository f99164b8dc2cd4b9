from mmfer.datasets.reading.cache_place import cache_file


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv('MMFER_CACHE', str(tmp_path))
    assert cache_file('columns', 'k' * 64) == tmp_path / 'columns' / f'{"k" * 20}.npz'
    monkeypatch.setenv('MMFER_CACHE', '')
    assert cache_file('columns', 'k') is None
    monkeypatch.delenv('MMFER_CACHE')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert cache_file('columns', 'k') == tmp_path / '.cache/mmfer/columns/k.npz'
