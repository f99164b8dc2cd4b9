"""Slow references written straight from the equations, one Python number at a time where that is bearable.

They share no code with the package and no trick with it (no dilation by pooling, no log-sum-exp identity), so that an
agreement means something.
"""

import math

import torch
from torch import Tensor


def adaptive_wing(prediction: float, target: float, alpha=2.1, omega=14.0, epsilon=1.0, theta=0.5) -> float:
    """One element of Wang et al. 2019, eq. 4."""
    distance, power = abs(target - prediction), alpha - target
    if distance < theta:
        return omega * math.log(1 + (distance / epsilon) ** power)
    ratio = theta / epsilon
    slope = omega * (1 / (1 + ratio**power)) * power * ratio ** (power - 1) / epsilon
    offset = theta * slope - omega * math.log(1 + ratio**power)
    return slope * distance - offset


def heatmap_loss(prediction: Tensor, target: Tensor, foreground_weight=10.0, threshold=0.2) -> Tensor:
    """Per-sample mean of the weighted AdaptiveWing; the 3x3 dilation is a loop over the cells that exist."""
    samples, points, height, width = target.shape
    losses = []
    for n in range(samples):
        total = 0.0
        for p in range(points):
            for y in range(height):
                for x in range(width):
                    around = target[n, p, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                    weight = foreground_weight if max(around.flatten().tolist()) > threshold else 1.0
                    total += weight * adaptive_wing(prediction[n, p, y, x].item(), target[n, p, y, x].item())
        losses.append(total / (points * height * width))
    return torch.tensor(losses, dtype=torch.float64)


def gaussian_heatmaps(points: Tensor, size: tuple[int, int], sigma=1.5) -> Tensor:
    """Peak 1 at the (sub-cell) point; a zero map for a point that lies in no cell or nowhere."""
    height, width = size
    maps = torch.zeros(*points.shape[:2], height, width, dtype=torch.float64)
    for n in range(points.shape[0]):
        for p in range(points.shape[1]):
            px, py = points[n, p].tolist()
            if not (-0.5 <= px < width - 0.5 and -0.5 <= py < height - 0.5):
                continue
            for y in range(height):
                for x in range(width):
                    maps[n, p, y, x] = math.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
    return maps


def nearest_neighbours(features: Tensor, sample_idx: Tensor, k: int) -> list[list[int]]:
    """For every row the up to k most similar rows of other samples, most similar first."""
    rows, idx = features.tolist(), sample_idx.tolist()

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    found = []
    for i, row in enumerate(rows):
        others = [j for j in range(len(rows)) if j != i and idx[j] != idx[i]]
        found.append(sorted(others, key=lambda j: -cosine(row, rows[j]))[:k])
    return found


def neighbour_average(scores: Tensor, neighbours: Tensor, valid: Tensor, probs: Tensor, eps=1e-8) -> Tensor:
    """The dense [B, B] formula: w_ij = (c_ij M_ij + eps/B) / (sum_j c_ij M_ij + eps), q = w p."""
    batch = probs.shape[0]
    masked = [[0.0] * batch for _ in range(batch)]  # c_ij M_ij
    for i in range(batch):
        for slot in range(neighbours.shape[1]):
            if valid[i, slot]:
                masked[i][neighbours[i, slot].item()] = scores[i, slot].item()
    weight = torch.tensor([[(c + eps / batch) / (sum(row) + eps) for c in row] for row in masked], dtype=torch.float64)
    return weight @ probs.double()


def distribution_kl(target: Tensor, logits: Tensor) -> float:
    """Mean over rows of sum t log(t / softmax), with 0 log 0 = 0."""
    total = 0.0
    for t_row, l_row in zip(target.tolist(), logits.tolist(), strict=True):
        partition = sum(math.exp(v) for v in l_row)
        total += sum(t * math.log(t / (math.exp(v) / partition)) for t, v in zip(t_row, l_row, strict=True) if t > 0)
    return total / len(target)


def contrastive_terms(
    similarity: Tensor, queue_similarity: Tensor, labels: Tensor, queue_labels: Tensor, temperature=0.1
) -> Tensor:
    """l_ij through the [B*B, Q+1] table of logits: one positive in column 0, then the negatives of row i."""
    batch, length = queue_similarity.shape
    negative = (queue_labels[None] != labels[:, None]) & (queue_labels[None] >= 0)  # [B, Q]
    rows = queue_similarity.masked_fill(~negative, -math.inf)
    rows = rows[:, None, :].expand(batch, batch, length).reshape(batch * batch, length)
    table = torch.cat([similarity.reshape(batch * batch, 1), rows], dim=1) / temperature
    return -table.log_softmax(dim=1)[:, 0].reshape(batch, batch)


def queue_contrast(
    query: Tensor, keys: Tensor, queue: Tensor, labels: Tensor, queue_labels: Tensor, temperature=0.1
) -> Tensor:
    """Mean over i of the mean over the positives of i, the positives counted one by one."""
    terms = contrastive_terms(query @ keys.T, query @ queue.T, labels, queue_labels, temperature)
    batch = len(labels)
    total = 0.0
    for i in range(batch):
        positives = [j for j in range(batch) if labels[j] == labels[i]]
        total = total + sum(terms[i, j] for j in positives) / len(positives)
    return total / batch
