"""Two processes with the rows of a batch between them against one process with all of them.

The pair is started once for the module. Losses and averaged gradients are compared at each of three steps, between
which the weights, the bank and the queues move on: what goes wrong in a memory shows in the next step's losses.
"""

import pytest
import torch
import torch.multiprocessing as mp
import two_ranks
from torch.testing import assert_close


def assert_equal(seen, expected, name, atol=1e-7):
    """To 1e-7 of the largest element: some gradients are a million times smaller than others, some are rounding."""
    if not expected.dtype.is_floating_point:
        assert seen.tolist() == expected.tolist(), name
        return
    scale = expected.abs().max().clamp_min(1e-9)
    assert_close(seen / scale, expected / scale, rtol=0, atol=atol, msg=lambda text: f'{name} (/ {scale:.1e}): {text}')


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
    return {name: two_ranks.steps(None, name) for name in two_ranks.SETTINGS}


def values(record, kind):
    return {name: value for name, value in record.items() if name.startswith(kind)}


MEMORIES = {
    'lanet': {'bank', 'buffer'},
    'toy': {'buffer'},  # class weights
    'scn': {'bank'},
    'arm': {'buffer'},
    'pal': set(),
    'sna': {'bank'},
    'all': {'bank', 'buffer'},
}


@pytest.mark.parametrize('step', range(3))
@pytest.mark.parametrize('kind', ['loss', 'gradient', 'bank', 'buffer'])
@pytest.mark.parametrize('scenario', two_ranks.SETTINGS)
def test_two_ranks_do_what_one_process_does(pair, alone, scenario, kind, step):
    expected = values(alone[scenario][step], kind)
    assert bool(expected) == (kind in ('loss', 'gradient') or kind in MEMORIES[scenario])
    for seen in pair(scenario):
        mine = values(seen[step], kind)
        assert set(mine) == set(expected)
        for name, value in expected.items():
            assert_equal(mine[name], value, name)


@pytest.mark.parametrize('scenario', ['lanet', 'all'])
def test_the_comparison_has_something_to_compare(alone, scenario):
    """Memories move, neighbours and negatives exist, and no loss nor any weight's gradient is zero."""
    _, second, third = alone[scenario]
    for record in (second, third):
        assert all(loss.abs() > 1e-3 for name, loss in values(record, 'loss').items() if name.endswith('_loss'))
        gradients = values(record, 'gradient')
        assert len(gradients) > 100
        faint = [name for name, value in gradients.items() if name.endswith('weight') and value.abs().max() < 1e-10]
        assert faint == []
    bank = third['bank label_distribution']
    assert (bank.amax(1) < 1).nonzero().flatten().tolist() == VISITED
    labels = [value for name, value in values(third, 'buffer').items() if name.endswith('queue_label')]
    assert len(labels) == 1
    assert (labels[0] >= 0).all()  # full, and wrapped


VISITED = sorted({face for _, faces in two_ranks.STEPS for face in faces})


@pytest.mark.parametrize('scenario', ['scn', 'all'])
def test_labels_change_and_the_margin_is_not_met(alone, scenario):
    stored = [record['bank relabelled'] for record in alone[scenario]]
    assert ((stored[0] != two_ranks.LABELS) & (stored[2] == stored[0])).any()  # one that a later step trains on
    assert stored[1].tolist() != stored[0].tolist()
    assert (alone[scenario][2]['bank importance'] < 1).nonzero().flatten().tolist() == VISITED
    for record in alone[scenario]:
        assert record['loss scn.rank_loss'] > 0
        assert record['loss scn.importance_high'] > record['loss scn.importance_low'] + 0.01
        attention = [value for name, value in values(record, 'gradient').items() if 'attention' in name]
        assert len(attention) == 2
        assert all(value.abs().max() > 1e-6 for value in attention)


@pytest.mark.parametrize('scenario', ['sna', 'all'])
def test_faces_are_distrusted_and_their_neighbours_differ(alone, scenario):
    assert (alone[scenario][0]['bank reliability'] == 1).all()
    assert (alone[scenario][2]['bank reliability'] < 0.99).any()
    assert (alone[scenario][2]['bank instability'] > 0).nonzero().flatten().tolist() == VISITED
    for record in alone[scenario]:
        assert record['loss sna.smooth_loss'] > 1e-4
        assert record['draws'] > 0


@pytest.mark.parametrize('scenario', ['pal', 'all'])
def test_attributions_matter(alone, scenario):
    assert all(record['loss pal.pal_loss'].abs() > 0.1 for record in alone[scenario])


@pytest.mark.parametrize('scenario', ['arm', 'all'])
def test_the_generic_face_moves(alone, scenario):
    generic = [record['buffer neck.generic'] for record in alone[scenario]]
    assert (generic[0] - generic[2]).abs().max() > 1e-3
    assert alone[scenario][0]['gradient neck.a'].abs() > 1e-6


@pytest.mark.parametrize('kind', ['loss', 'gradient', 'buffer'])
def test_two_ranks_train_an_autoencoder_as_one_process_does(pair, kind):
    alone = two_ranks.draw_faces(None)
    for step, record in enumerate(alone):
        expected = values(record, kind)
        for seen in pair('autoencoder'):
            mine = values(seen[step], kind)
            assert set(mine) == set(expected)
            for name, value in expected.items():
                assert_equal(mine[name], value, name, atol=1e-5)
    if kind == 'gradient':  # at first the residual blocks are identities
        assert all(value.abs().max() > 0 for value in values(alone[2], kind).values())
    elif kind == 'buffer':
        spread, mean = ([record[f'buffer {name}'] for record in alone] for name in ('latent_std', 'mean_face'))
        assert (spread[0] - spread[2]).abs().min() > 1e-4
        assert (mean[0] - mean[2]).abs().max() > 0.1


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
