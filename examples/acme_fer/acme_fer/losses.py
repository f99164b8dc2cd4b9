"""A loss: reverse cross-entropy."""

import torch.nn.functional as F
from torch import Tensor

from acme_fer.registry import MODELS
from mmfer.models.supervision import Part


@MODELS.register_module()
class ReverseCrossEntropyLoss(Part):
    """Cross-entropy with prediction and target exchanged, which a wrong label can push by a bounded amount only.

    Beside the classification term `cls` it makes the symmetric cross-entropy of
    `Wang et al. 2019 <https://arxiv.org/abs/1908.06112>`_, eq. 6 and 7.

    Args:
        log_zero: What counts as log 0; the paper's A.
        loss_weight: Weight of the term.

    Shapes:
        logits: [N, K].
        target: [N] class ids or [N, K] distributions.
        weight: [N].
        returns: scalar.
    """

    def __init__(self, log_zero: float = -4.0, loss_weight: float = 1.0):
        super().__init__()
        if log_zero >= 0:
            raise ValueError(f'ReverseCrossEntropyLoss needs a negative log_zero, got {log_zero}')
        self.log_zero, self.loss_weight = log_zero, loss_weight

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted mean over the global batch."""
        if target.dim() == 1:
            target = F.one_hot(target, logits.size(1)).to(logits)
        log_target = target.log().clamp_min(self.log_zero)
        terms = -(logits.softmax(1) * log_target).sum(1)
        return self.loss_weight * (terms * weight).sum() / weight.sum().clamp_min(1e-12)
