"""Contrast of two embeddings against a queue of earlier keys (LA-Net's expression-landmark loss)."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def contrastive_terms(
    similarity: Tensor,
    queue_similarity: Tensor,
    labels: Tensor,
    queue_labels: Tensor,
    temperature: float = 0.1,
) -> Tensor:
    """The InfoNCE term of every pair (query i, key j) against the queue's negatives of i.

    ``-log(e^{s_ij/t} / (e^{s_ij/t} + sum_n e^{s_in/t})) = softplus(LSE_i - s_ij/t)``: the log-sum-exp over the
    negatives is shared by a row, so that B x Q numbers suffice where the textbook form needs B x B x Q. A query without
    negatives has terms of exactly 0.

    Args:
        similarity: Cosine of query i and key j of the batch.
        queue_similarity: Cosine of query i and key n of the queue.
        labels: Of the batch.
        queue_labels: Of the queue; -1 marks an empty slot, which is no negative.
        temperature: t.

    Shapes:
        similarity: [B, B].
        queue_similarity: [B, Q].
        labels: [B].
        queue_labels: [Q].
        returns: [B, B].
    """
    no_negative = (labels[:, None] == queue_labels[None, :]) | (queue_labels < 0)
    has_negative = ~no_negative.all(1, keepdim=True)
    # logsumexp over nothing is -inf with a NaN gradient; such rows keep all entries and have no loss at all.
    logits = (queue_similarity / temperature).masked_fill_(no_negative & has_negative, -torch.inf)
    log_sum = logits.logsumexp(1, keepdim=True)
    return F.softplus(log_sum - similarity / temperature) * has_negative


def queue_contrast(
    query: Tensor, keys: Tensor, queue: Tensor, labels: Tensor, queue_labels: Tensor, temperature: float = 0.1
) -> Tensor:
    """Pulls a query to the keys of the batch with its pseudo-label, away from the queue's keys with another.

    ``mean_i 1/|P(i)| sum_{j in P(i)} l_ij`` where P(i) are the batch members with i's label, i included.

    Shapes:
        query, keys: [B, D], L2-normalised.
        queue: [Q, D], L2-normalised.
        labels: [B].
        queue_labels: [Q], -1 for an empty slot.
        returns: scalar.
    """
    # The B x Q numbers are computed again in the backward pass rather than kept alive until then: two small products.
    terms = checkpoint(
        lambda query: contrastive_terms(query @ keys.T, query @ queue.T, labels, queue_labels, temperature),
        query,
        use_reentrant=False,
        preserve_rng_state=False,
    )
    positive = (labels[:, None] == labels[None, :]).to(terms.dtype)
    return ((terms * positive).sum(1) / positive.sum(1)).mean()
