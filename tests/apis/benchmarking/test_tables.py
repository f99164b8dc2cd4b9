"""What tables say of results: means, deviations, intervals of paired differences."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from mmfer.apis.benchmarking.grid import Grid, Row, Run
from mmfer.apis.benchmarking.intervals import estimate, paired
from mmfer.apis.benchmarking.pages import fill, marked
from mmfer.apis.benchmarking.results import read_result, result_path, write_result
from mmfer.apis.benchmarking.tables import grid_tables, read_results

GRID = Grid(
    'two',
    'Two methods',
    {'plain': Row('baseline.py', {}, None), 'SCN': Row('scn.py', {}, 'plain'), 'PAL': Row('pal.py', {}, 'plain')},
    {'clean': {}, 'noisy': {}},
    (0, 1, 2),
    note='Some faces.',
)
ACCURACY = {'plain': (60.0, 62.0, 61.0), 'SCN': (62.0, 63.0, 65.0), 'PAL': (61.5,)}


def report(accuracy):
    figures = dict(accuracy=accuracy, mean_class_accuracy=accuracy / 2, nll=1.23456789)
    last = dict(figures, relabel_to_clean=12.34)
    return dict(
        config='x', seed=0, split='test', faces=732, majority_rate=35.5, last=last, last5=figures, best=figures,
        epochs=[dict(epoch=1, accuracy=accuracy)],
    )  # fmt: skip


@pytest.fixture
def results(tmp_path):
    for row, values in ACCURACY.items():
        for seed, accuracy in enumerate(values):
            write_result(
                tmp_path,
                GRID,
                Run('noisy', row, seed),
                command='mmfer train x.py',
                commit='abc1234',
                report=report(accuracy),
                seconds=1800.4,
                device='NVIDIA H200' if seed else 'CPU, 1 thread',
            )
    return tmp_path


def test_a_result_is_small_and_rounded(results):
    path = result_path(results, GRID, Run('noisy', 'SCN', 1))
    assert path == results / 'two/noisy/SCN_seed1.json'
    said = json.loads(path.read_text())
    assert said['figures']['last5']['nll'] == 1.2346
    assert (said['commit'], said['device'], said['seconds'], said['seed']) == ('abc1234', 'NVIDIA H200', 1800, 1)
    assert said['accuracy_by_epoch'] == [63.0]
    assert 'epochs' not in said['figures']
    assert len(path.read_text().splitlines()) == len(said) + 2  # a line a key, so that differences can be read


def test_the_table(results):
    text = grid_tables(GRID, read_results(results, GRID), 'mmfer benchmark two.py')
    lines = text.splitlines()
    assert lines[0] == 'Some faces.'
    assert 'No run has finished yet.' in text[text.index('**clean**') : text.index('**noisy**')]
    (plain,), (scn,), (pal,) = ([line for line in lines if line.startswith(f'| {row} |')] for row in ACCURACY)
    figures = '61.00 ± 1.00 | 30.50 ± 0.50 | 1.235 ± 0.000 | 61.00 ± 1.00 | 61.00 ± 1.00'
    assert plain == f'| plain | 3 | {figures} |  | relabel_to_clean 12.3 |'
    gains = np.array(ACCURACY['SCN']) - ACCURACY['plain']
    low, high = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert f'| plain: +{gains.mean():.2f} [{low:+.1f}, {high:+.1f}] |' in scn
    assert '| plain: +1.50 |' in pal  # of one seed nothing is known of the spread
    assert '| 61.50 |' in pal
    assert '7 of 18 runs: 3 on CPU, 1 thread (torch' in text
    assert '4 on NVIDIA H200' in text
    assert '; 7 of them took 3.5 hours. `mmfer benchmark two.py`' in text


def test_intervals_are_those_of_scipy():
    values = [3.0, 5.5, 4.0, 9.0]
    mean, deviation, half = estimate(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean - half, mean + half) == (pytest.approx(low), pytest.approx(high))
    assert deviation == pytest.approx(np.std(values, ddof=1))
    assert estimate([7.0]) == (7.0, None, None)
    assert paired({0: 1.0, 1: 3.0, 4: 9.0}, {1: 1.0, 0: 0.0}).mean == 1.5
    assert paired({0: 1.0}, {1: 1.0}) is None
    assert not math.isnan(estimate([1.0, 1.0]).half)


@pytest.mark.parametrize('text', ['{', '[]', '{"seed": 1}'])
def test_a_broken_result_is_named(results, text):
    run = Run('noisy', 'SCN', 1)
    result_path(results, GRID, run).write_text(text)
    with pytest.raises(
        ValueError, match=r'SCN_seed1.json is no result of a run .*: delete it, and the run is repeated'
    ):
        read_result(results, GRID, run)


def test_pages_are_filled_between_their_marks(tmp_path):
    page = (
        'Before.\n<!-- mmfer benchmark two -->\nold\n<!-- end -->\n\n'
        '<!-- mmfer benchmark other -->\nkept\n<!-- end -->\n'
    )
    filled = fill(page, lambda name: '| new |' if name == 'two' else None)
    assert filled == page.replace('old\n', '\n| new |\n\n')
    assert fill(filled, lambda name: '| new |' if name == 'two' else None) == filled
    (tmp_path / 'a.md').write_text(page)
    (tmp_path / 'b.md').write_text('nothing')
    assert marked([tmp_path / 'a.md', tmp_path / 'b.md']) == {tmp_path / 'a.md': ['two', 'other']}
