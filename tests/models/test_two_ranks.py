"""Two processes with the rows of a batch between them against one process with all of them.

The pair is started once for the module. Losses and averaged gradients are compared at each of three steps, between
which the weights, the bank and the queues move on: what goes wrong in a memory shows in the next step's losses.
"""

import pytest
import torch
import torch.multiprocessing as mp
import two_ranks
from torch.testing import assert_close


def assert_equal(seen, expected, name):
    """To 1e-7 of the largest element: some gradients are a million times smaller than others."""
    if not expected.dtype.is_floating_point:
        assert seen.tolist() == expected.tolist(), name
        return
    scale = expected.abs().max().clamp_min(1e-12)
    assert_close(seen / scale, expected / scale, rtol=0, atol=1e-7, msg=lambda text: f'{name} (/ {scale:.1e}): {text}')


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    mp.spawn(two_ranks.work, args=(str(folder),), nprocs=two_ranks.WORLD)
    seen = [torch.load(folder / f'rank{rank}.pt', weights_only=True) for rank in range(two_ranks.WORLD)]

    def look(scenario):
        for rank in range(two_ranks.WORLD):
            assert not isinstance(seen[rank][scenario], str), f'rank {rank} raised\n{seen[rank][scenario]}'
        return [seen[rank][scenario] for rank in range(two_ranks.WORLD)]

    return look


@pytest.fixture(scope='module')
def alone():
    """What one process sees, by scenario."""
    torch.set_num_threads(1)
    return {'lanet': two_ranks.steps(None, two_ranks.LANET), 'toy': two_ranks.steps(None, two_ranks.TOY)}


def values(record, kind):
    return {name: value for name, value in record.items() if name.startswith(kind)}


@pytest.mark.parametrize('step', range(3))
@pytest.mark.parametrize('kind', ['loss', 'gradient', 'bank', 'buffer'])
@pytest.mark.parametrize('scenario', ['lanet', 'toy'])
def test_two_ranks_do_what_one_process_does(pair, alone, scenario, kind, step):
    expected = values(alone[scenario][step], kind)
    assert bool(expected) == (scenario == 'lanet' or kind in ('loss', 'gradient'))
    for seen in pair(scenario):
        mine = values(seen[step], kind)
        assert set(mine) == set(expected)
        for name, value in expected.items():
            assert_equal(mine[name], value, name)


def test_the_comparison_has_something_to_compare(alone):
    """Memories move, neighbours and negatives exist, and no loss nor any weight's gradient is zero."""
    _, second, third = alone['lanet']
    for record in (second, third):
        assert all(loss > 1e-3 for loss in values(record, 'loss').values())
        gradients = values(record, 'gradient')
        assert len(gradients) > 100
        faint = [name for name, value in gradients.items() if name.endswith('weight') and value.abs().max() < 1e-10]
        assert faint == []
    (bank,) = values(third, 'bank').values()
    visited = sorted({face for _, faces in two_ranks.STEPS for face in faces})
    assert (bank.amax(1) < 1).nonzero().flatten().tolist() == visited
    labels = [value for name, value in values(third, 'buffer').items() if name.endswith('queue_label')]
    assert len(labels) == 1
    assert (labels[0] >= 0).all()  # full, and wrapped


def test_faces_on_both_ranks_get_one_row(pair, alone):
    (bank,) = values(alone['lanet'][0], 'bank').values()
    for seen in pair('lanet'):
        (row,) = values(seen[0], 'bank').values()
        assert_equal(row[11], bank[11], 'face 11')
        assert row[11].max() < 1


def test_the_ranks_hold_the_same_bits(pair):
    first, second = pair('lanet')
    for one, other in zip(first, second, strict=True):
        for kind in ('bank', 'buffer'):
            for name, value in values(one, kind).items():
                assert_close(values(other, kind)[name], value, rtol=0, atol=0)


def test_where_ranks_differ_the_first_ones_rows_count(pair):
    for columns in pair('bank'):
        assert columns['number'].tolist() == [2, 0, 2, 0]  # samples 0 and 2; the latter stood twice
        assert columns['label'].tolist() == [6, 0, 4, 0]
        assert columns['wide'].tolist() == [[3, 4], [0, 0], [3, 4], [0, 0]]
