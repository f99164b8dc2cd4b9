"""The command `mmfer benchmark` as it is typed: trains, goes on, prints, writes pages."""

import json
from pathlib import Path

import pytest
from PIL import Image

from mmfer.cli.benchmark import main

ROOT = Path(__file__).parents[2]
GRID = """
title = 'Tiny'
seeds = [0]
_small = {
    **{f'{loader}_dataloader.dataset.num': 32 for loader in ('train', 'val', 'test')},
    'train_dataloader.batch_size': 16,
    'train_cfg.max_epochs': 1,
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.head.in_channels': 64,
}
rows = {
    'plain': dict(config='configs/baseline/r18_synthfaces.py', options=_small),
    'noisy': dict(config='configs/baseline/r18_synthfaces_sym30.py', options=_small),
}
"""


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('grid.py').write_text(GRID)
    return 'grid.py'


def test_a_grid_is_trained_and_its_tables_are_written(grid, capsys, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    main([grid, '--rows', 'plain', '--jobs', '1'])
    said = capsys.readouterr().out
    assert said.startswith('grid: 0 of 1 runs have finished, 1 to train\nplain_seed0: accuracy ')
    result = json.loads(Path('benchmarks/results/grid/plain_seed0.json').read_text())
    assert result['figures']['last']['accuracy'] == pytest.approx(result['accuracy_by_epoch'][-1])
    assert 0 <= result['figures']['last5']['calibration_error'] <= 100
    assert result['seconds'] > 0
    main([grid, '--rows', 'plain'])
    assert 'grid: 1 of 1 runs have finished, 0 to train' in capsys.readouterr().out

    main([grid, '--commands'])
    (line,) = capsys.readouterr().out.splitlines()
    assert 'train.py configs/baseline/r18_synthfaces_sym30.py --seed 0 --cfg-options train_dataloader' in line

    Path('docs').mkdir()
    page = Path('docs/page.md')
    page.write_text('# Page\n\n<!-- mmfer benchmark grid -->\n<!-- end -->\n')
    main(['--table', '--pages', 'docs', '--', grid])
    text = page.read_text()
    assert f'| plain | 1 | {result["figures"]["last5"]["accuracy"]:.2f} |' in text
    assert '![Tiny](figures/benchmark_grid.png)' in text
    with Image.open('docs/figures/benchmark_grid.png') as picture:
        assert picture.width > 300
    main(['--table', grid])
    assert capsys.readouterr().out.rstrip().endswith('`')


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['grid.py', '--rows', 'plane'], "grid has no row 'plane'; did you mean plain?; it has plain, noisy"),
        (['grid.py', '--settings', 'x'], "grid has no setting 'x'; it has none"),
        (['grid.py', '--share', '3/2'], '--share 3/2: give which of how many, such as 2/5'),
        (['gird.py'], 'there is no grid gird.py; those of mmfer are in benchmarks/grids'),
    ],
)
def test_a_mistake_is_a_sentence(grid, capsys, words, sentence):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 1
    assert f'mmfer: error: {sentence}' in capsys.readouterr().err


def test_no_grid_and_no_jobs(grid, capsys):
    for words, sentence in (
        ([], 'name a grid, such as benchmarks/grids/wild7.py'),
        ([grid, '--jobs', '0'], 'at least 1'),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert sentence in capsys.readouterr().err


def test_pages_of_mmfer_are_those_of_the_results_that_are_committed(monkeypatch):
    monkeypatch.chdir(ROOT)
    main(['--table', '--pages', '--check'])


def test_a_page_that_is_not_is_named(grid):
    Path('page.md').write_text('<!-- mmfer benchmark grid -->\n<!-- end -->\n')
    words = ['--table', '--pages', 'page.md', '--check', '--', grid]
    with pytest.raises(SystemExit):
        main(words)
    assert not Path('docs').exists()
    main([word for word in words if word != '--check'])
    main(words)
