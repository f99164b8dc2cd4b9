"""Cross-entropy against the step's target."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfer.registry import MODELS


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """The classification term: cross-entropy of the logits against `target`, weighted by `weight`.

    It stands once in a model, whatever methods are added: they change `target` and `weight`.

    Args:
        label_smoothing: Share of the target that is spread over all classes.
        loss_weight: Weight of the term.

    Shapes:
        logits: [N, K].
        target: [N] class ids or [N, K] distributions.
        weight: [N]; the term is the weighted mean, 0 where all weights are.
        returns: scalar.
    """

    def __init__(self, label_smoothing: float = 0.0, loss_weight: float = 1.0):
        super().__init__()
        self.label_smoothing, self.loss_weight = label_smoothing, loss_weight

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted mean over the global batch."""
        terms = F.cross_entropy(logits, target, reduction='none', label_smoothing=self.label_smoothing)
        total = weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)  # a method may take a whole batch out
        return self.loss_weight * (terms * weight).sum() / total
