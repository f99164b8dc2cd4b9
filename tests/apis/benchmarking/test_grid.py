"""Grids are read, and what is wrong in one is a sentence."""

from pathlib import Path

import pytest

from mmfer.apis.benchmarking.grid import Run, read_grid
from mmfer.apis.config import read_config

ROOT = Path(__file__).parents[3]
GRID = """
title = 'Two methods'
seeds = [3, 5]
train = ['--amp']
settings = {'clean': {}, '30 % wrong': {'train_dataloader.dataset.label_noise': dict(kind='symmetric', rate=0.3)}}
first = dict(autoencoder='configs/sna/autoencoder_rafdb_96px.py')
_shown = {'model.pretrained': None}
rows = {
    'plain': dict(config='configs/baseline/r18_synthfaces.py', options=_shown),
    'SNA': dict(config='configs/sna/r18_synthfaces.py', options={'model.sna.checkpoint': '{autoencoder}'}),
}
"""


def written(folder, text=GRID, name='two.py'):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize('path', sorted((ROOT / 'benchmarks/grids').glob('*.py')), ids=lambda path: path.stem)
def test_those_of_mmfer_are_grids(path):
    grid = read_grid(path)
    runs = grid.runs()
    assert len(runs) == len(grid.rows) * len(grid.settings) * len(grid.seeds) == len({run.name for run in runs})
    assert all(row.against is None or row.against in grid.rows for row in grid.rows.values())


@pytest.mark.parametrize('path', sorted((ROOT / 'benchmarks/grids').glob('*.py')), ids=lambda path: path.stem)
def test_rows_differ_from_what_they_are_compared_with_in_nothing_but_the_method(path):
    grid = read_grid(path)
    compared = 0
    for name, row in grid.rows.items():
        if row.against is not None:
            mine, other = (read_config(each.config, dict(each.options)) for each in (row, grid.rows[row.against]))
            mine.train_dataloader.dataset.pop('landmarks', None)
            keys = (
                'data_preprocessor',
                'train_dataloader',
                'val_dataloader',
                'optim_wrapper',
                'param_scheduler',
                'train_cfg',
            )
            assert [key for key in keys if mine[key] != other[key]] == [], name
            assert mine.model.backbone == other.model.backbone
            if not any('{' in str(value) for value in row.options.values()):
                assert mine.model.pretrained == other.model.pretrained
            compared += 1
    assert compared >= len(grid.rows) - 3


def test_a_run_has_the_options_of_its_setting_and_row(tmp_path):
    grid = read_grid(written(tmp_path))
    assert (grid.name, grid.title, grid.train, grid.seeds) == ('two', 'Two methods', ('--amp',), (3, 5))
    run = Run('30 % wrong', 'SNA', 5)
    assert run.name == '30_wrong/SNA_seed5'
    assert grid.options(run, dict(autoencoder=Path('a/last.pth'))) == {
        'train_dataloader.dataset.label_noise.kind': 'symmetric',
        'train_dataloader.dataset.label_noise.rate': 0.3,
        'model.sna.checkpoint': 'a/last.pth',
    }
    assert Run('', 'plain', 3).name == 'plain_seed3'
    assert grid.options(Run('clean', 'plain', 3), {}) == {'model.pretrained': None}
    assert (grid.rows['plain'].needs(), grid.rows['SNA'].needs()) == (set(), {'autoencoder'})
    assert (grid.rows['plain'].against, grid.rows['SNA'].against) == (None, 'plain')


def test_every_row_has_a_run_before_the_second_seed_begins(tmp_path):
    runs = read_grid(written(tmp_path)).runs()
    assert [run.seed for run in runs] == [3] * 4 + [5] * 4
    assert runs[:2] == [Run('clean', 'plain', 3), Run('clean', 'SNA', 3)]


@pytest.mark.parametrize(
    ('old', 'new', 'sentence'),
    [
        ('seeds =', 'seed =', "a grid has no 'seed'; did you mean seeds?"),
        ('seeds = [3, 5]', 'seeds = []', 'seeds is missing; examples are in benchmarks/grids'),
        ("config='configs/baseline/r18_synthfaces.py', ", '', "row 'plain' names no config"),
        ('options=_shown', 'option=_shown', "row 'plain' has no 'option'; did you mean options?"),
        ('baseline/r18_synthfaces.py', 'baseline/r19.py', 'names configs/baseline/r19.py, which is not there'),
        ('{autoencoder}', '{encoder}', "row 'SNA' needs {encoder}, which `first` does not train"),
        ('first =', "reference = 'plane'\nfirst =", "is compared with 'plane', which is no row; did you mean plain?"),
        ("'SNA'", "'plain '", 'two of rows would have the same file name, or one none: plain, plain ; rename one'),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path, old, new, sentence):
    assert old in GRID
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        read_grid(written(tmp_path, GRID.replace(old, new)))
    assert sentence in str(error.value)
    assert 'two.py' in str(error.value)


def test_a_grid_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no grid .*none.py; those of mmfer are in benchmarks/grids'):
        read_grid(tmp_path / 'none.py')
    with pytest.raises(ValueError, match='not read as a config'):
        read_grid(written(tmp_path, name='two.yaml'))
