"""Momentum encoder and key queues of LA-Net's contrastive loss."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfer.models.probing.embedding import embedding_of, needs_head
from mmfer.models.supervision.branches.landmark_branch import LandmarkBranch
from mmfer.models.supervision.part import Part, Surroundings
from mmfer.models.supervision.taps import Taps
from mmfer.registry import MODELS
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class MomentumKeys(Part):
    """Queries, keys from a slowly moving copy of the network, and queues of earlier keys.

    Two spaces: the expression embedding of the classifier and the landmark embedding of the landmark branch, each with
    a projector. The keys come from an exponential moving average of network, branch and projectors, without gradient
    (`MoCo <https://arxiv.org/abs/1911.05722>`_); the copy starts at the first training step, so that whatever weights
    were loaded by then are what it starts from. See `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.3.

    Args:
        dim: Size of keys; by default the landmark embedding's.
        queue_size: Keys remembered in each space; any batch size goes with it.
        momentum: Share of the copy that stays at each step.

    Shapes:
        inputs: [N, 3, H, W]; embedding: [N, D]; landmark_embedding: [N, V].
        publishes: expression_query, landmark_query, expression_key, landmark_key [N, dim], L2-normalised; and, equal on
            all ranks, expression_queue, landmark_queue [Q, dim] and queue_label [Q] (-1: empty).
    """

    shares = ('expression_queue', 'landmark_queue', 'queue_label')
    publishes = ('expression_query', 'landmark_query', 'expression_key', 'landmark_key', *shares)

    def __init__(
        self,
        dim: int | None = None,
        queue_size: int = 8192,
        momentum: float = 0.999,
    ):
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(
                f'momentum must lie in [0, 1), got {momentum}: at 1 the copy would never follow the network'
            )
        if queue_size < 1:
            raise ValueError(f'queue_size must be at least 1, got {queue_size}; without a queue there are no negatives')
        check_range('queue_size', queue_size, 1, whole=True)
        check_range('dim', 1 if dim is None else dim, 1, whole=True)
        self.dim, self.queue_size, self.momentum = dim, queue_size, momentum

    def setup(self, model: nn.Module, supervision: Surroundings) -> None:
        """Builds projectors, queues and the copy.

        Raises:
            ValueError: If the landmark branch is not there.
        """
        branch = self._find_branch(supervision)
        dim = self.dim or branch.channels
        self.project_expression = projector(supervision.width(model, 'embedding'), branch.channels, dim)
        self._with_head = needs_head(model)
        self.project_landmark = projector(branch.channels, branch.channels, dim)
        self.twin = nn.ModuleDict({name: copy.deepcopy(part) for name, part in self._sources(model, branch).items()})
        self.twin.requires_grad_(False)
        self.twin_taps = Taps(self.twin['backbone'], {'shared': branch.shared_stage})
        self.register_buffer('started', torch.tensor(False))
        self._in_step = False
        self.register_buffer('expression_queue', torch.zeros(self.queue_size, dim))
        self.register_buffer('landmark_queue', torch.zeros(self.queue_size, dim))
        self.register_buffer('queue_label', torch.full((self.queue_size,), -1))
        self.register_buffer('position', torch.tensor(0))

    def uncompiled(self, model: nn.Module) -> list[nn.Module]:
        """Of the copy the shared stage, which is tapped, and the landmark branch, of which `embed` is called."""
        tapped = [self.twin['backbone'].get_submodule(path) for path in self.twin_taps.paths.values()]
        return [*tapped, self.twin['landmark']]

    def begin(self, model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
        """Moves the copy a step, then gives the keys and the queues as they stood before this batch."""
        self._follow(model)
        expression_key, landmark_key = self._keys(inputs)
        return {
            'expression_key': expression_key,
            'landmark_key': landmark_key,
            'expression_queue': self.expression_queue,
            'landmark_queue': self.landmark_queue,
            'queue_label': self.queue_label,
        }

    def forward(self, embedding: Tensor, landmark_embedding: Tensor) -> dict[str, Tensor]:
        """Projects the queries."""
        return {
            'expression_query': F.normalize(self.project_expression(embedding), dim=1),
            'landmark_query': F.normalize(self.project_landmark(landmark_embedding), dim=1),
        }

    @torch.no_grad()
    def finish(self, expression_key: Tensor, landmark_key: Tensor, pseudo_label: Tensor) -> None:
        """Puts the global batch's keys into the queues, over the oldest ones."""
        count = min(len(expression_key), self.queue_size)
        slots = (self.position + torch.arange(count, device=expression_key.device)) % self.queue_size
        self.expression_queue[slots] = expression_key[-count:].to(self.expression_queue.dtype)
        self.landmark_queue[slots] = landmark_key[-count:].to(self.landmark_queue.dtype)
        self.queue_label[slots] = pseudo_label[-count:]
        self.position.add_(count).remainder_(self.queue_size)

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """Copy and queues move with every batch."""
        return 'moves its copy of the network, and its queues, with every batch'

    def width_of(self, name: str) -> int:
        """Of queries, keys and their queues."""
        return super().width_of(name) if name == 'queue_label' else self.project_landmark[-1].out_features

    def _find_branch(self, supervision: Surroundings) -> LandmarkBranch:
        branch = supervision.publisher('landmark_embedding')
        if branch is None:
            raise ValueError(
                'MomentumKeys copies the branch that publishes "landmark_embedding", and none before it does: write an '
                'mmfer.LandmarkBranch before it'
            )
        if not isinstance(branch, LandmarkBranch):
            raise ValueError(
                f'MomentumKeys copies an mmfer.LandmarkBranch, but what publishes "landmark_embedding" is '
                f'{type(branch).__name__}: let it inherit mmfer.LandmarkBranch'
            )
        return branch

    def _sources(self, model: nn.Module, branch: nn.Module) -> dict[str, nn.Module]:
        return {
            'backbone': model.backbone,
            **({} if model.neck is None else {'neck': model.neck}),
            **({'head': model.head} if self._with_head else {}),
            'landmark': branch,
            'project_expression': self.project_expression,
            'project_landmark': self.project_landmark,
        }

    @torch.no_grad()
    def _follow(self, model: nn.Module) -> None:
        """Moves the copy's weights towards the network's and takes over its buffers."""
        sources = self._sources(model, self._find_branch(model.supervision))
        mine = [p for name in sources for p in self.twin[name].parameters()]
        theirs = [p for source in sources.values() for p in source.parameters()]
        if self._in_step or self.started.item():  # reads the device once, at the first step of a process
            torch._foreach_lerp_(mine, theirs, 1 - self.momentum)
        else:
            torch._foreach_copy_(mine, theirs)
            self.started.fill_(True)
        self._in_step = True
        copies = [b for name in sources for b in self.twin[name].buffers()]
        if copies:  # transformers may have none, and an empty list is an error
            torch._foreach_copy_(copies, [b for source in sources.values() for b in source.buffers()])

    @torch.no_grad()
    def _keys(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        twin = self.twin
        with self.twin_taps.record(twin['backbone'], inputs.shape[-2:]) as tapped:
            features = twin['backbone'](inputs)
        if 'neck' in twin:
            features = twin['neck'](features)
        expression = embedding_of(getattr(twin, 'head', None), features)
        landmark, _ = twin['landmark'].embed(tapped.given['shared'])
        return (
            F.normalize(twin['project_expression'](expression), dim=1),
            F.normalize(twin['project_landmark'](landmark), dim=1),
        )


def projector(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers with a ReLU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs))
