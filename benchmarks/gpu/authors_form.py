"""LA-Net's step in the algorithmic form of its authors: what mmfer's is measured against, and nothing else.

Written from the equations of `LA-Net <https://arxiv.org/abs/2307.09023>`_ in the textbook way; no code was copied. It
computes what mmfer's step computes, at the cost of

- a table of logits [B * B, Q + 1] for the contrast of every pair with the whole queue,
- scores of all B * B pairs, of which k a row are used,
- a feature pyramid with all its channels, also in the key encoder, which needs the mean of it alone.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from mmfer.functional import heatmap_loss

CLASSES, POINTS, WIDTH, NEIGHBOURS = 7, 19, 64, 8
BANK_MOMENTUM, KEY_MOMENTUM, CONFIDENCE, TEMPERATURE, EPS = 0.9, 0.999, 0.7, 0.1, 1e-8


class Network(nn.Module):
    """Two trunks behind a shared first stage, the pyramid of the second, and the projectors."""

    def __init__(self) -> None:
        super().__init__()
        first, second = resnet18(weights=None), resnet18(weights=None)
        self.shared = nn.Sequential(first.conv1, first.bn1, first.relu, first.maxpool, first.layer1)
        self.expression = nn.Sequential(first.layer2, first.layer3, first.layer4)
        self.landmark = nn.ModuleList([second.layer2, second.layer3, second.layer4])
        self.laterals = nn.ModuleList(nn.Conv2d(width, WIDTH, 1, bias=False) for width in (64, 128, 256, 512))
        self.to_heatmaps = nn.Conv2d(WIDTH, POINTS, 1, bias=False)
        self.classify = nn.Linear(512, CLASSES)
        self.project_u = nn.Sequential(nn.Linear(512, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.project_v = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits [B, K], embeddings u [B, 512] and v [B, 64], heatmaps [B, L, H, W]."""
        shared = self.shared(images)
        u = self.expression(shared).mean((2, 3))
        levels = [shared]
        for stage in self.landmark:
            levels.append(stage(levels[-1]))
        pyramid = self.laterals[-1](levels[-1])
        for level, lateral in zip(levels[-2::-1], list(self.laterals)[-2::-1], strict=True):
            up = F.interpolate(pyramid, size=level.shape[-2:], mode='bilinear', align_corners=False)
            pyramid = lateral(level) + up
        return self.classify(u), u, pyramid.mean((2, 3)), self.to_heatmaps(pyramid)


class PairScore(nn.Module):
    """Scores of all pairs [B, B]."""

    def __init__(self, dim: int):
        super().__init__()
        self.embed = nn.Linear(dim, dim)
        self.score = nn.Sequential(
            nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, dim // 4), nn.ReLU(), nn.Linear(dim // 4, 2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Softmax of what the net says of the halves of i and j put together."""
        a, b = self.embed(features).chunk(2, dim=1)
        rows = len(features)
        pairs = torch.cat([a[:, None].expand(-1, rows, -1), b[None].expand(rows, -1, -1)], dim=2)
        return self.score(pairs).softmax(-1)[..., 0]


def neighbour_distribution(features: Tensor, scores: Tensor, probs: Tensor, sample_idx: Tensor) -> Tensor:
    """q_i = sum_j w_ij p_j, with the mask of neighbours and the weights as tables [B, B]."""
    unit = F.normalize(features.detach(), dim=1)
    similarity = (unit @ unit.T).masked_fill(sample_idx[:, None] == sample_idx[None], -torch.inf)
    nearest = similarity.topk(min(NEIGHBOURS, len(features) - 1), dim=1).indices
    chosen = scores * torch.zeros_like(scores).scatter(1, nearest, 1.0)
    return (chosen + EPS / len(features)) / (chosen.sum(1, keepdim=True) + EPS) @ probs


def contrast(query: Tensor, keys: Tensor, queue: Tensor, labels: Tensor, queue_labels: Tensor) -> Tensor:
    """The mean over positives of every pair's InfoNCE term, from the table [B * B, Q + 1]."""
    rows, length = len(query), len(queue)
    negatives = (query @ queue.T).masked_fill(labels[:, None] == queue_labels[None], -torch.inf)
    negatives = negatives[:, None].expand(rows, rows, length).reshape(rows * rows, length)
    table = torch.cat([(query @ keys.T).reshape(rows * rows, 1), negatives], dim=1) / TEMPERATURE
    terms = F.cross_entropy(table, torch.zeros(rows * rows, dtype=torch.int64, device=table.device), reduction='none')
    positive = (labels[:, None] == labels[None]).float()
    return ((terms.view(rows, rows) * positive).sum(1) / positive.sum(1)).mean()


class AuthorsForm:
    """The network with all that its training remembers.

    Args:
        samples: Faces of the training set.
        size: Side of the inputs.
        batch: Faces a step.
        queue: Keys in either queue.
        device: 'cuda' or 'cpu'.
        amp: Whether the networks run in bfloat16; the losses never do.
    """

    def __init__(self, samples: int, size: int, batch: int, queue: int, device: str, amp: bool):
        torch.manual_seed(0)
        self.device, self.amp = device, amp
        self.network = Network().to(device).train()
        self.keys = copy.deepcopy(self.network).requires_grad_(False)
        self.scores = nn.ModuleList([PairScore(512), PairScore(WIDTH)]).to(device)
        self.optimizer = torch.optim.Adam([*self.network.parameters(), *self.scores.parameters()], lr=1e-3)
        self.bank = F.one_hot(torch.arange(samples, device=device) % CLASSES, CLASSES).float()
        self.queues = [F.normalize(torch.randn(queue, WIDTH, device=device), dim=1) for _ in range(2)]
        self.queue_labels = torch.randint(0, CLASSES, (queue,), device=device)
        self.position = 0

    def to_device(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """A loader's batch on the device."""
        return tuple(tensor.to(self.device, non_blocking=True) for tensor in batch)

    def step(self, images: Tensor, labels: Tensor, sample_idx: Tensor, heatmaps: Tensor) -> dict[str, float | Tensor]:
        """One training step; gives its losses."""
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.amp):
            outputs = self.network(images)
            with torch.no_grad():
                for mine, theirs in zip(self.keys.parameters(), self.network.parameters(), strict=True):
                    mine.mul_(KEY_MOMENTUM).add_(theirs, alpha=1 - KEY_MOMENTUM)
                for mine, theirs in zip(self.keys.buffers(), self.network.buffers(), strict=True):
                    mine.copy_(theirs)
                _, key_u, key_v, _ = (tensor.float() for tensor in self.keys(images))
        logits, u, v, drawn = (tensor.float() for tensor in outputs)
        key_u, key_v = (F.normalize(x, dim=1) for x in (self.keys.project_u(key_u), self.keys.project_v(key_v)))
        query_u, query_v = (F.normalize(x, dim=1) for x in (self.network.project_u(u), self.network.project_v(v)))

        probs = logits.softmax(1)
        estimates = [
            neighbour_distribution(features, score(features), probs, sample_idx)
            for features, score in zip((u, v), self.scores, strict=True)
        ]
        target = BANK_MOMENTUM * self.bank[sample_idx] + (1 - BANK_MOMENTUM) * sum(estimates) / 2
        peak, pseudo = target.detach().max(1)
        pseudo = torch.where(peak >= CONFIDENCE, pseudo, CLASSES + sample_idx)
        losses = {
            'ce': F.cross_entropy(logits, labels),
            'heatmap': heatmap_loss(drawn, heatmaps, 10.0).mean(),
            'kl': F.kl_div(logits.log_softmax(1), target, reduction='batchmean'),
            'contrast': 0.1
            * (
                contrast(query_u, key_v, self.queues[1], pseudo, self.queue_labels)
                + contrast(query_v, key_u, self.queues[0], pseudo, self.queue_labels)
            ),
        }
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        self.optimizer.step()
        self._remember(sample_idx, target.detach(), pseudo, key_u, key_v)
        return {name: loss.detach() for name, loss in losses.items()}

    @torch.no_grad()
    def _remember(self, sample_idx: Tensor, target: Tensor, pseudo: Tensor, key_u: Tensor, key_v: Tensor) -> None:
        self.bank[sample_idx] = target
        slots = (self.position + torch.arange(len(key_u), device=key_u.device)) % len(self.queue_labels)
        self.queues[0][slots], self.queues[1][slots], self.queue_labels[slots] = key_u, key_v, pseudo
        self.position += len(key_u)
