"""KL divergence from estimated label distributions (LA-Net)."""

from torch import Tensor

from mmfer.functional import distribution_kl
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS


@MODELS.register_module()
class DistributionKLLoss(Part):
    """Draws the prediction towards the estimated label distribution.

    The distribution is not detached: the gradient through it trains the score nets of
    :class:`~mmfer.models.supervision.refiners.LabelDistributionEstimation`. See
    `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.2.

    Args:
        loss_weight: Weight of the term.

    Shapes:
        logits, distribution: [N, K].
        returns: scalar.
    """

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, distribution: Tensor) -> Tensor:
        """Mean over the global batch."""
        return self.loss_weight * distribution_kl(distribution, logits)
