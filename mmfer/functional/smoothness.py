"""How far two predictions lie apart (SNA)."""

import math

import torch
from torch import Tensor


def kl_from_logits(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL divergence of each row's ``softmax(q_logits)`` from ``softmax(p_logits)``, KL(p || q), in nats.

    The gradient flows into both. Logits 0, 0 against 0, 1 give .120114.

    Shapes:
        p_logits, q_logits: [N, K].
        returns: [N].
    """
    p, q = p_logits.log_softmax(1), q_logits.log_softmax(1)
    return (p.exp() * (p - q)).sum(1)


def jensen_shannon(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of each row's two predictions, in nats: symmetric, at most ln 2.

    The mean of KL(p || m) and KL(q || m), m the mean of p and q. Logits 0, 1 against 0, 0 give .028535.

    Shapes:
        p_logits, q_logits: [N, K].
        returns: [N].
    """
    p, q = p_logits.log_softmax(1), q_logits.log_softmax(1)
    m = torch.logaddexp(p, q) - math.log(2)
    return ((p.exp() * (p - m)).sum(1) + (q.exp() * (q - m)).sum(1)) / 2
