"""What each of the two processes of test_distributed does; a module of its own because a spawned process imports it."""

import datetime
import traceback

import torch
import torch.distributed as dist
from torch.nn.functional import normalize

from mmfer.functional import gather_rows, mean_over_ranks, queue_contrast, sum_over_ranks

WORLD = 2
SPLITS = {'uneven': (3, 2), 'even': (2, 2), 'last rank empty': (3, 0), 'first rank empty': (0, 4)}
MASKS = {
    'all': [True, True, True, True, True],
    'some': [True, False, True, False, True],
    'one rank only': [False, False, False, True, True],
    'nowhere': [False, False, False, False, False],
}


def data(rows, *shape, seed=0):
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairwise_loss(rows):
    """Couples all rows, so that a gradient that stays on its rank is wrong."""
    flat = rows.flatten(1)
    return ((flat @ flat.T).sin() * torch.arange(1.0, len(rows) + 1, dtype=rows.dtype)).sum()


def contrast_loss(embedding, labels):
    queue = normalize(data(6, 4, seed=9), dim=1)
    rows = normalize(embedding, dim=1)
    return queue_contrast(rows, rows.detach(), queue, labels, torch.tensor([0, 1, 2, 3, 0, -1]))


def run_gather(rank, split, tell_counts):
    full = data(sum(SPLITS[split]), 2, 3)
    local = full.split(SPLITS[split])[rank].clone().requires_grad_()
    gathered = gather_rows(local, list(SPLITS[split])) if tell_counts else gather_rows(local)
    pairwise_loss(gathered).backward()
    return {'gathered': gathered.detach(), 'gradient': local.grad}


def run_gather_twice(rank):
    """Two gathers in one graph (as u and v are), their backward passes in whatever order autograd takes."""
    first, second = (data(5, 3, seed=s).split((3, 2))[rank].clone().requires_grad_() for s in (1, 2))
    (gather_rows(first) * gather_rows(second).sin()).sum().backward()
    return {'first': first.grad, 'second': second.grad}


def run_gather_plain(rank):
    numbers, flags = torch.arange(5) * 10, torch.tensor([True, False, False, True, True])
    wide = data(5, 4).T.contiguous().T  # not contiguous
    parts = [column.split((3, 2))[rank] for column in (numbers, flags, wide, wide[:, 0])]
    names = ('numbers', 'flags', 'wide', 'vector')
    return {name: gather_rows(part) for name, part in zip(names, parts, strict=True)}


def run_sum(rank):
    local = data(2, 3)[rank].clone().requires_grad_()
    total = sum_over_ranks(local)
    before = local.detach().clone()
    total.square().sum().backward()
    return {'total': total.detach(), 'gradient': local.grad, 'kept': before}


def run_sum_scalar(rank):
    local = torch.tensor(2.0 + rank, dtype=torch.float64, requires_grad=True)
    total = sum_over_ranks(local)
    (total**3).backward()
    return {'total': total.detach(), 'gradient': local.grad}


def run_mean(rank, mask):
    values = data(5).split((3, 2))[rank].clone().requires_grad_()
    local_mask = None if mask is None else torch.tensor(MASKS[mask]).split((3, 2))[rank]
    mean = mean_over_ranks(values, local_mask)
    (mean * 3).sin().backward()
    return {'mean': mean.detach(), 'gradient': values.grad}


def run_mean_of_no_rows(rank):
    values = data(3).split((3, 0))[rank].clone().requires_grad_()
    mean = mean_over_ranks(values, None)
    mean.backward()
    return {'mean': mean.detach(), 'gradient': values.grad}


def run_model(rank):
    """A linear layer under the mean of the ranks' gradients, which is what DDP computes."""
    weight = data(4, 5, seed=4).requires_grad_()
    inputs, labels = data(5, 5, seed=5).split((3, 2))[rank], torch.tensor([0, 1, 0, 2, 1]).split((3, 2))[rank]
    embedding = inputs @ weight.T
    everyone, all_labels = gather_rows(embedding), gather_rows(labels)
    per_sample = mean_over_ranks(embedding.square().sum(dim=1), labels < 2)
    loss = contrast_loss(everyone, all_labels) + per_sample
    loss.backward()
    dist.all_reduce(weight.grad)
    return {'loss': loss.detach(), 'gradient': weight.grad / dist.get_world_size()}


def penalised(rows, weight, everyone=lambda x: x):
    """A loss on the gradient of scores that know of the whole batch through its mean."""
    mean = everyone(rows.sum(0)) / 5
    scores = ((rows @ weight.T).sin() * (1 + mean @ weight.T)).sum()
    (gradient,) = torch.autograd.grad(scores, rows, create_graph=True)
    return everyone((gradient.square() * rows).sum())


def run_gradient_loss(rank):
    """Passes a sum over ranks twice backwards."""
    weight = data(4, 5, seed=4).requires_grad_()
    rows = (data(5, 5, seed=6).split((3, 2))[rank] @ weight.T @ weight).tanh()
    loss = penalised(rows, weight, sum_over_ranks)
    loss.backward()
    dist.all_reduce(weight.grad)
    return {'loss': loss.detach(), 'gradient': weight.grad / dist.get_world_size()}


SCENARIOS = {
    **{f'gather {split}': (run_gather, split, False) for split in SPLITS},
    **{f'gather counted {split}': (run_gather, split, True) for split in SPLITS},
    'gather twice': (run_gather_twice,),
    'gather plain': (run_gather_plain,),
    'sum': (run_sum,),
    'sum scalar': (run_sum_scalar,),
    **{f'mean {mask}': (run_mean, mask) for mask in (None, *MASKS)},
    'mean of no rows': (run_mean_of_no_rows,),
    'model': (run_model,),
    'gradient loss': (run_gradient_loss,),
}


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/meet',
        rank=rank,
        world_size=WORLD,
        timeout=datetime.timedelta(seconds=30),
    )
    seen = {}
    for name, (function, *arguments) in SCENARIOS.items():
        try:
            seen[name] = function(rank, *arguments)
        except Exception:  # kept, so that the tests of the other scenarios can still speak
            seen[name] = traceback.format_exc()
    torch.save(seen, f'{folder}/rank{rank}.pt')
    dist.destroy_process_group()
