"""Smoothness of the predictions in a face's semantic neighbourhood (SNA)."""

from torch import Tensor

from mmfer.functional import kl_from_logits
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS


@MODELS.register_module()
class NeighborhoodSmoothnessLoss(Part):
    """Draws the prediction for a slightly changed face to that for the face itself.

    The mean of KL(p(x) || p(x~)) over all faces, also those whose label is distrusted. p(x) is held: the face's own
    prediction learns from its label, its neighbour's from it. The idea is that of
    `SNA <https://arxiv.org/abs/2004.12725>`_, the divergence our choice.

    Args:
        loss_weight: Weight of the term; in configs it grows from 0 over the first epochs.

    Shapes:
        logits, neighbour_logits: [N, K].
        returns: scalar.
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, neighbour_logits: Tensor) -> Tensor:
        """Mean over the global batch."""
        return self.loss_weight * kl_from_logits(logits.detach(), neighbour_logits).mean()
