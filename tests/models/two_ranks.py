"""What each of the two processes of test_two_ranks does; a module of its own because a spawned process imports it.

The same functions train the single process: `steps` knows no ranks but for the rows it is given.
"""

import datetime
import traceback

import torch
import torch.distributed as dist
from tiny import CE, OwnRowsLoss, TurnTargets, classifier, faces, lanet, total
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmfer.structures import Column, FaceBatch, SampleBank

WORLD = 2
# Rows of the two ranks at each step, and whose faces they are. The face 11 stands on both ranks, 4 twice on one.
STEPS = [
    ((5, 3), [0, 11, 4, 7, 4, 2, 11, 9]),
    ((4, 4), [3, 5, 11, 0, 1, 6, 8, 10]),
    ((2, 6), [9, 2, 0, 0, 7, 0, 5, 12]),
]
# 8 + 8 + 8 keys into 10 slots: wraps twice.
LANET = dict(cls=CE, lanet=lanet(queue_size=10, momentum=0.8))
TOY = dict(cls=CE, toy=dict(refiners=dict(turn=dict(type=TurnTargets)), losses=dict(own=dict(type=OwnRowsLoss))))


def build(methods) -> nn.Module:
    """In float64 and with frozen statistics, so that only the method's own maths is compared."""
    model = classifier(methods, seed=1).double().eval()
    with torch.no_grad():
        model.head.fc.weight.mul_(30)  # predictions that differ, so that neighbours' scores matter
    model.supervision.bank.allocate(torch.arange(13) % 3, 3)
    return model


def batch_at(step: int) -> tuple[Tensor, FaceBatch]:
    """The global batch of a step; two faces have no landmarks, so that the ranks count different numbers."""
    inputs, batch = faces(8, seed=10 + step, sample_idx=STEPS[step][1])
    batch.landmarks = batch.landmarks.double()
    batch.landmark_valid[[0, 3]] = False
    return inputs.double(), batch


def steps(rank: int | None, methods) -> list[dict[str, Tensor]]:
    """Three steps of plain SGD; everything that the ranks must agree upon after each."""
    model = build(methods)
    wrapped = model if rank is None else DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02)
    seen = []
    for step, (split, _) in enumerate(STEPS):
        inputs, batch = batch_at(step)
        if rank is not None:
            rows = slice(sum(split[:rank]), sum(split[: rank + 1]))
            inputs, batch = inputs[rows], batch[rows]
        losses = wrapped(inputs, batch, mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        record = {f'loss {name}': value.detach().clone() for name, value in losses.items()}
        record |= {f'gradient {n}': p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
        model.supervision.commit()
        record |= {f'bank {n}': v.clone() for n, v in model.supervision.bank.state_dict()['columns'].items()}
        record |= {f'buffer {n}': v.clone() for n, v in model.named_buffers() if 'queue' in n or 'position' in n}
        seen.append(record)
    return seen


def commit_what_differs(rank: int) -> dict[str, Tensor]:
    """Ranks that computed slightly different rows of the same samples."""
    bank = SampleBank()
    bank.declare({'number': Column(), 'label': Column(dtype=torch.int64), 'wide': Column((2,))}, 'here')
    bank.allocate(torch.zeros(4).long(), 2)
    index = torch.tensor([2, 0, 2])
    bank.stage('number', index, torch.tensor([1.0, 2.0, 3.0]) + rank)
    bank.stage('label', index, torch.tensor([5, 6, 4]) - rank)
    bank.stage('wide', index, torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) + rank)
    bank.commit()
    return bank.state_dict()['columns']


SCENARIOS = {
    'lanet': lambda rank: steps(rank, LANET),
    'toy': lambda rank: steps(rank, TOY),
    'bank': commit_what_differs,
}


def work(rank: int, folder: str) -> None:
    """Runs all scenarios on one rank and leaves what it saw in a file."""
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/meet',
        rank=rank,
        world_size=WORLD,
        timeout=datetime.timedelta(seconds=120),
    )
    seen = {}
    for name, scenario in SCENARIOS.items():
        try:
            seen[name] = scenario(rank)
        except Exception:  # kept, so that the tests of the other scenarios can still speak
            seen[name] = traceback.format_exc()
    torch.save(seen, f'{folder}/rank{rank}.pt')
    dist.destroy_process_group()
