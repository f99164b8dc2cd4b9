"""What each of the two processes of test_two_ranks does; a module of its own because a spawned process imports it.

The same functions train the single process: `steps` knows no ranks but for the rows it is given.
"""

import datetime
import functools
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

import torch
import torch.distributed as dist
from mmengine.logging import MessageHub
from tiny import CE, OwnRowsLoss, TurnTargets, faces, lanet, network, total
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmfer.models.autoencoders import FaceAutoEncoder
from mmfer.models.classifiers import FERClassifier
from mmfer.structures import Column, FaceBatch, SampleBank

WORLD = 2
# Rows of the two ranks at each step, and whose faces they are. The face 11 stands on both ranks, 4 twice on one.
STEPS = [
    ((5, 3), [0, 11, 4, 7, 4, 2, 11, 9]),
    ((4, 4), [3, 5, 11, 0, 1, 6, 8, 10]),
    ((2, 6), [9, 2, 0, 0, 7, 0, 5, 12]),
]
LABELS = torch.arange(13) % 3

# 8 + 8 + 8 keys into 10 slots: wraps twice.
LANET = lanet(queue_size=10, momentum=0.8)
TOY = dict(refiners=dict(turn=dict(type=TurnTargets)), losses=dict(own=dict(type=OwnRowsLoss)))
# Labels change from the first step on.
SCN = dict(
    taps=dict(importance='head.attention'),
    refiners=dict(relabel=dict(type='mmfer.MarginRelabel', start_epoch=1, margin=0.02, ratio=0.4)),
    losses=dict(rank=dict(type='mmfer.RankRegularizationLoss', margin=0.8, ratio=0.4, learnable_margin=True)),
)
# Layers with batch norm and ReLU lie behind the tap.
PAL = dict(
    taps=dict(stage3='backbone.layer3'),
    branches=dict(attribution=dict(type='mmfer.GradientActivation', inputs=dict(feature='stage3'))),
    losses=dict(pal=dict(type='mmfer.PrivilegedAttributionLoss', sigma=30.0)),
)


def sna(kind: str) -> dict:
    """Weights fall from the second step on."""
    autoencoder = dict(type='mmfer.FaceAutoEncoder', size=16, latent_dim=8, channels=4, depth=1)
    return dict(
        branches=dict(
            neighbours=dict(type='mmfer.SemanticNeighbours', autoencoder=autoencoder, checkpoint=None, kind=kind)
        ),
        refiners=dict(reliability=dict(type='mmfer.ReliabilityWeights', warmup=0, fraction=0.5, temperature=0.01)),
        losses=dict(smooth=dict(type='mmfer.NeighborhoodSmoothnessLoss')),
    )


SCN_HEAD = dict(type='mmfer.SCNHead', num_classes=3, in_channels=64)
# Its training mode takes the mean over the global batch, so that rows meet within the network. It has no norm of its
# own: the rows would meet there, too, by SyncBatchNorm, of which torch has no CPU kernel.
ARM_NECK = dict(type='mmfer.ARM', in_channels=64, map_size=2, upscale=4, norm_cfg=None)
ARM_WIDTH = 25


WEIGHTED = dict(losses=dict(ce=dict(type='mmfer.CrossEntropyLoss', class_weight=[1.0, 3.0, 0.5], label_smoothing=0.1)))


@dataclass
class Setting:
    """A network and what supervises it."""

    methods: dict
    size: int = 32
    parts: dict = field(default_factory=dict)
    seed: int = 1


SETTINGS = {
    'lanet': Setting(dict(cls=CE, lanet=LANET)),
    'toy': Setting(dict(cls=WEIGHTED, toy=TOY)),
    'scn': Setting(dict(cls=CE, scn=SCN), parts=dict(head=SCN_HEAD)),
    'arm': Setting(dict(cls=CE), 64, dict(neck=ARM_NECK, head=dict(network()['head'], in_channels=ARM_WIDTH))),
    'pal': Setting(dict(cls=CE, pal=PAL), 64),
    'sna': Setting(dict(cls=CE, sna=sna('random'))),
    'all': Setting(
        # SNA first: what SCN has relabelled is not distrusted.
        dict(cls=CE, sna=sna('adversarial'), scn=SCN, pal=PAL, lanet=LANET),
        64,
        dict(neck=ARM_NECK, head=dict(SCN_HEAD, in_channels=ARM_WIDTH)),
        seed=3,
    ),
}


def build(setting: Setting) -> nn.Module:
    """In float64 and with frozen statistics, so that only the method's own maths is compared."""
    torch.manual_seed(setting.seed)
    preprocessor = dict(type='mmfer.FaceDataPreprocessor', size=setting.size)
    parts = network() | setting.parts
    model = FERClassifier(**parts, data_preprocessor=preprocessor, supervision=setting.methods).double().eval()
    model.neck.train()  # of SCN and ARM, which have no batch norm here
    model.head.train()
    with torch.no_grad():
        for layer in model.head.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(30)  # predictions that differ, so that neighbours' scores matter, and importances
        for module in model.supervision.modules():
            if hasattr(module, 'latent_std'):
                module.latent_std.fill_(5.0)  # a random decoder draws nothing much
    model.supervision.bank.allocate(LABELS.clone(), 3)
    return model


def batch_at(step: int, size: int) -> tuple[Tensor, FaceBatch]:
    """The global batch of a step; two faces have no landmarks, so that the ranks count different numbers."""
    inputs, batch = faces(8, size=size, seed=10 + step, sample_idx=STEPS[step][1])
    batch.landmarks = batch.landmarks.double()
    batch.landmark_valid[[0, 3]] = False
    return inputs.double(), batch


@contextmanager
def drawn_by_face(sample_idx: Sequence[int]) -> Iterator[list[int]]:
    """Random rows belong to faces: wherever a face stands, the n-th draw of a step gives it the same numbers.

    Yields:
        A list that grows with each draw.
    """
    draws: list[int] = []

    def instead(function):
        def draw(*size, dtype=None, device=None, generator=None, requires_grad=False):
            size = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
            assert size[0] == len(sample_idx), f'drew {tuple(size)} for {len(sample_idx)} faces'
            seeds = [1000 * len(draws) + face for face in sample_idx]
            draws.append(len(seeds))
            generators = [torch.Generator().manual_seed(seed) for seed in seeds]
            return torch.stack([function(tuple(size[1:]), generator=g, dtype=dtype) for g in generators])

        return draw

    def like(function):
        def draw(x, dtype=None, **_):
            return function(*x.shape, dtype=dtype or x.dtype)

        return draw

    with ExitStack() as stack:
        for name in ('rand', 'randn'):
            mine = instead(getattr(torch, name))
            stack.enter_context(patch.object(torch, name, mine))
            stack.enter_context(patch.object(torch, f'{name}_like', like(mine)))
        yield draws


def steps(rank: int | None, name: str) -> list[dict[str, Tensor]]:
    """Three steps of plain SGD, an epoch each; everything that the ranks must agree upon after each."""
    setting = SETTINGS[name]
    model = build(setting)
    wrapped = model if rank is None else DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02)
    progress, seen = MessageHub.get_current_instance(), []
    for step, (split, _) in enumerate(STEPS):
        inputs, batch = batch_at(step, setting.size)
        if rank is not None:
            rows = slice(sum(split[:rank]), sum(split[: rank + 1]))
            inputs, batch = inputs[rows], batch[rows]
        progress.update_info('epoch', step)
        with drawn_by_face(batch.sample_idx.tolist()) as draws:
            losses = wrapped(inputs, batch, mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        record = {f'loss {name}': value.detach().clone() for name, value in losses.items()}
        record |= {f'gradient {n}': p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
        model.supervision.commit()
        record |= {f'bank {n}': v.clone() for n, v in model.supervision.bank.state_dict()['columns'].items()}
        record |= {f'buffer {n}': v.clone() for n, v in model.named_buffers() if moves(n)}
        record['draws'] = torch.tensor(len(draws))
        seen.append(record)
    progress.update_info('epoch', 0)
    return seen


def draw_faces(rank: int | None) -> list[dict[str, Tensor]]:
    """Three steps of an autoencoder, whose loss and memories are float32 by design."""
    torch.manual_seed(0)
    model = FaceAutoEncoder(size=16, latent_dim=8, channels=4, depth=1, momentum=0.4)
    wrapped = model if rank is None else DistributedDataParallel(model, broadcast_buffers=False)
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=0.1), []
    for step, (split, sample_idx) in enumerate(STEPS):
        inputs, _ = faces(8, size=16, seed=10 + step, sample_idx=sample_idx)
        rows = slice(None) if rank is None else slice(sum(split[:rank]), sum(split[: rank + 1]))
        with drawn_by_face(sample_idx[rows]):
            losses = wrapped(inputs[rows], mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        record = {f'loss {name}': value.detach().clone() for name, value in losses.items()}
        record |= {f'gradient {n}': p.grad.clone() for n, p in model.named_parameters()}
        optimizer.step()
        seen.append(record | {f'buffer {n}': v.clone() for n, v in model.named_buffers()})
    return seen


def moves(name: str) -> bool:
    """Whether a buffer is a memory: all but frozen statistics and constants."""
    still = ('running_', 'num_batches_tracked', 'data_preprocessor', 'points_from_68', 'latent_std', 'autoencoder')
    return not any(part in name for part in still)


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
    **{name: functools.partial(steps, name=name) for name in SETTINGS},
    'autoencoder': draw_faces,
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
