"""Collectives on two processes against the single process that they must equal.

The pair is started once for the module: every rank runs all scenarios and leaves what it saw in a file.
The law under test: all ranks compute the same global loss, and the gradient that reaches a rank's rows is the world
size times dL/dx, so that DDP's average over ranks is dL/dtheta.
"""

import naive
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from collectives import MASKS, SPLITS, WORLD, data, pairwise_loss, penalised, work
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmfer.functional import gather_rows, mean_over_ranks, sum_over_ranks

EXACT = {'rtol': 1e-10, 'atol': 1e-12}


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    mp.spawn(work, args=(str(folder),), nprocs=WORLD)
    seen = [torch.load(folder / f'rank{rank}.pt', weights_only=True) for rank in range(WORLD)]

    def look(scenario):
        for rank in range(WORLD):
            assert isinstance(seen[rank][scenario], dict), f'rank {rank} raised\n{seen[rank][scenario]}'
        return [seen[rank][scenario] for rank in range(WORLD)]

    return look


# --- two processes ---


@pytest.mark.parametrize('split', SPLITS)
@pytest.mark.parametrize('scenario', ['gather', 'gather counted'])
def test_gathered_rows_are_everyones_in_rank_order_and_get_world_size_times_the_gradient(ranks, scenario, split):
    full = data(sum(SPLITS[split]), 2, 3).requires_grad_()
    pairwise_loss(full).backward()
    for seen, gradient in zip(ranks(f'{scenario} {split}'), full.grad.split(SPLITS[split]), strict=True):
        assert_close(seen['gathered'], full.detach(), rtol=0, atol=0)
        assert_close(seen['gradient'], WORLD * gradient, **EXACT)


def test_two_gathers_in_one_graph_get_their_own_gradients(ranks):
    first, second = (data(5, 3, seed=s) for s in (1, 2))
    expected = zip((WORLD * second.sin()).split((3, 2)), (WORLD * first * second.cos()).split((3, 2)), strict=True)
    for seen, (of_first, of_second) in zip(ranks('gather twice'), expected, strict=True):
        assert_close(seen['first'], of_first, **EXACT)
        assert_close(seen['second'], of_second, **EXACT)


def test_rows_of_any_type_and_shape_are_gathered_without_a_gradient(ranks):
    for seen in ranks('gather plain'):
        assert seen['numbers'].dtype == torch.int64
        assert seen['numbers'].tolist() == [0, 10, 20, 30, 40]
        assert seen['flags'].dtype == torch.bool
        assert seen['flags'].tolist() == [True, False, False, True, True]
        assert_close(seen['wide'], data(5, 4), rtol=0, atol=0)
        assert_close(seen['vector'], data(5, 4)[:, 0], rtol=0, atol=0)
        assert not any(column.requires_grad for column in seen.values())


def test_a_sum_over_ranks_keeps_its_input_and_gets_world_size_times_the_gradient(ranks):
    full = data(2, 3)
    for rank, seen in enumerate(ranks('sum')):
        assert_close(seen['total'], full.sum(dim=0), **EXACT)
        assert_close(seen['gradient'], WORLD * 2 * full.sum(dim=0), **EXACT)
        assert_close(seen['kept'], full[rank], rtol=0, atol=0)


def test_a_sum_of_scalars_is_a_scalar(ranks):
    for seen in ranks('sum scalar'):
        assert seen['total'].shape == ()
        assert_close(seen['total'].item(), 5.0, **EXACT)
        assert_close(seen['gradient'].item(), WORLD * 3 * 25.0, **EXACT)


@pytest.mark.parametrize('mask', [None, 'all', 'some', 'one rank only'])
def test_a_mean_over_ranks_is_the_mean_of_the_global_batch(ranks, mask):
    full = data(5).requires_grad_()
    kept = full if mask is None else full[torch.tensor(MASKS[mask])]
    mean = kept.mean()
    (mean * 3).sin().backward()
    for seen, gradient in zip(ranks(f'mean {mask}'), full.grad.split((3, 2)), strict=True):
        assert seen['mean'].shape == ()
        assert_close(seen['mean'], mean.detach(), **EXACT)
        assert_close(seen['gradient'], WORLD * gradient, **EXACT)


def test_a_mean_that_is_empty_everywhere_is_zero_with_zero_gradient(ranks):
    for seen in ranks('mean nowhere'):
        assert seen['mean'].item() == 0
        assert seen['gradient'].abs().max() == 0


def test_a_rank_without_rows_takes_part_in_the_mean(ranks):
    first, second = ranks('mean of no rows')
    for seen in (first, second):
        assert_close(seen['mean'], data(3).mean(), **EXACT)
    assert_close(first['gradient'], torch.full((3,), WORLD / 3, dtype=torch.float64), **EXACT)
    assert second['gradient'].shape == (0,)


def test_the_ranks_average_of_parameter_gradients_is_that_of_one_process(ranks):
    weight, labels = data(4, 5, seed=4).requires_grad_(), torch.tensor([0, 1, 0, 2, 1])
    embedding = data(5, 5, seed=5) @ weight.T
    queue = normalize(data(6, 4, seed=9), dim=1)
    rows = normalize(embedding, dim=1)
    contrast = naive.queue_contrast(rows, rows.detach(), queue, labels, torch.tensor([0, 1, 2, 3, 0, -1]))
    loss = contrast + embedding.square().sum(dim=1)[labels < 2].mean()
    loss.backward()
    for seen in ranks('model'):
        assert_close(seen['loss'], loss.detach(), **EXACT)
        assert_close(seen['gradient'], weight.grad, **EXACT)


def test_a_loss_on_gradients_passes_a_sum_over_ranks_twice(ranks):
    weight = data(4, 5, seed=4).requires_grad_()
    loss = penalised((data(5, 5, seed=6) @ weight.T @ weight).tanh(), weight)
    loss.backward()
    for seen in ranks('gradient loss'):
        assert_close(seen['loss'], loss.detach(), **EXACT)
        assert_close(seen['gradient'], weight.grad, **EXACT)


# --- one process, no group ---


@pytest.mark.parametrize('function', [gather_rows, sum_over_ranks])
def test_without_a_process_group_rows_and_sums_are_identities(function):
    assert not dist.is_initialized()
    local = data(3, 2).requires_grad_()
    result = function(local)
    assert_close(result, local, rtol=0, atol=0)
    pairwise_loss(result).backward()
    expected = data(3, 2).requires_grad_()
    pairwise_loss(expected).backward()
    assert_close(local.grad, expected.grad, **EXACT)
    assert function(torch.arange(4)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('mask', [None, [True, True, True, True], [False, True, False, True]])
def test_without_a_process_group_a_mean_is_the_local_mean(mask):
    values = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64, requires_grad=True)
    mean = mean_over_ranks(values, None if mask is None else torch.tensor(mask))
    mean.backward()
    share = torch.tensor([True] * 4 if mask is None else mask).double()
    assert mean.shape == ()
    assert_close(mean.item(), 4.0 if mask and not mask[0] else 3.0, **EXACT)
    assert_close(values.grad, share / share.sum(), **EXACT)


@pytest.mark.parametrize(('rows', 'mask'), [(3, [False, False, False]), (0, None), (0, [])])
def test_without_a_process_group_an_empty_mean_is_zero_with_zero_gradient(rows, mask):
    values = data(rows).requires_grad_()
    mean = mean_over_ranks(values, None if mask is None else torch.tensor(mask, dtype=torch.bool))
    mean.backward()
    assert mean.item() == 0
    assert_close(values.grad, torch.zeros(rows, dtype=torch.float64), rtol=0, atol=0)
