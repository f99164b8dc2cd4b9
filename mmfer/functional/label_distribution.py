"""Label distributions from a face's neighbours (LA-Net's label distribution estimation)."""

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def nearest_neighbours(features: Tensor, sample_idx: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Finds the most similar other samples of the batch by cosine similarity, without gradient.

    Rows with an equal sample index are views of one face; they would vote for themselves and are left out.

    Args:
        features: One row a face.
        sample_idx: Global index of the face.
        k: Neighbours per face; fewer where the batch is smaller.

    Shapes:
        features: [B, D].
        sample_idx: [B], integer.
        returns: neighbours [B, k'] int64 and valid [B, k'] bool with k' = min(k, max(B - 1, 1)); invalid entries
            fill the rows of faces that have fewer than k' candidates.
    """
    features = F.normalize(features.detach(), dim=1)
    similarity = features @ features.T
    similarity = similarity.masked_fill(sample_idx[:, None] == sample_idx[None, :], -torch.inf)
    values, neighbours = similarity.topk(min(k, max(len(features) - 1, 1)), dim=1)
    return neighbours, values > -torch.inf


def neighbour_average(scores: Tensor, neighbours: Tensor, valid: Tensor, probs: Tensor, eps: float = 1e-8) -> Tensor:
    """Averages the predictions of a face's neighbours, weighted by their scores.

    Equals ``w @ probs`` with ``w_ij = (c_ij M_ij + eps / B) / (sum_j c_ij M_ij + eps)``, M the neighbour mask, but
    touches k entries a row instead of B: the eps term is the same share of the batch mean for every row. A face
    without a neighbour gets that mean.

    Shapes:
        scores, neighbours, valid: [B, k].
        probs: [B, K].
        returns: [B, K]; rows sum to 1 where those of `probs` do.
    """
    scores = scores * valid
    # embedding() rather than probs[neighbours]: its backward is a plain scatter-add.
    picked = F.embedding(neighbours, probs)
    weighted = torch.einsum('bk,bkc->bc', scores, picked) + eps * probs.mean(0)
    return weighted / (scores.sum(1, keepdim=True) + eps)


def distribution_kl(target: Tensor, logits: Tensor) -> Tensor:
    """KL divergence of ``softmax(logits)`` from a target distribution, mean over the batch.

    The gradient flows into both. ``0 log 0`` counts as 0, with a finite gradient.

    Shapes:
        target: [N, K], rows sum to 1.
        logits: [N, K].
        returns: scalar.
    """
    log_target = target.clamp_min(torch.finfo(target.dtype).tiny).log()
    return (target * (log_target - F.log_softmax(logits, dim=1))).sum(1).mean()


def confident_labels(distribution: Tensor, sample_idx: Tensor, threshold: float = 0.7) -> Tensor:
    """Turns distributions into pseudo-labels; an ambiguous face gets an identity of its own.

    The identity is ``K + sample_idx``, so that it never equals a class nor another face's.

    Shapes:
        distribution: [N, K].
        sample_idx: [N], integer.
        returns: [N], int64.
    """
    peak, label = distribution.max(1)
    return torch.where(peak >= threshold, label, distribution.size(1) + sample_idx.long())
