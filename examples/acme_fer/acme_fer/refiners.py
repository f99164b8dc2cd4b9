"""A refiner with memory: the running mean of what the network said of a face."""

import torch
import torch.nn.functional as F
from torch import Tensor

from acme_fer.registry import MODELS
from mmfer.models.supervision import Part
from mmfer.structures import Column, SampleBank


@MODELS.register_module()
class RunningPrediction(Part):
    """Softens a face's target by the running mean of its predictions.

    The mean starts as the observed label. A network fits clean labels before it fits wrong ones, so that the mean of a
    wrongly labelled face leaves its label; see `Self-Adaptive Training <https://arxiv.org/abs/2002.10319>`_.

    Args:
        momentum: Share of the mean that stays when the face is seen again.
        share: Share of the mean in the target.
        start_epoch: First epoch, from 0, that remembers and softens; earlier predictions say little.

    Shapes:
        logits: [N, K].
        target: [N] class ids or [N, K] distributions.
        sample_idx: [N].
        publishes: target [N, K], or as it was before `start_epoch`.
    """

    publishes = ('target',)

    def __init__(self, momentum: float = 0.9, share: float = 0.5, start_epoch: int = 2):
        super().__init__()
        for name, value in (('momentum', momentum), ('share', share)):
            if not 0 <= value <= 1:
                raise ValueError(f'RunningPrediction needs {name} in [0, 1], got {value}')
        self.momentum, self.share, self.start_epoch = momentum, share, start_epoch

    def bank_columns(self) -> dict[str, Column]:
        """A distribution of each training sample."""
        return {'acme_running_prediction': Column(('num_classes',), start='one_hot')}

    @torch.no_grad()
    def forward(
        self, logits: Tensor, target: Tensor, sample_idx: Tensor, epoch: int, bank: SampleBank
    ) -> dict[str, Tensor]:
        """Publishes the softened targets; what is staged takes effect after the iteration."""
        if epoch < self.start_epoch:
            return {'target': target}
        if target.dim() == 1:
            target = F.one_hot(target, logits.size(1)).to(logits)
        mean = torch.lerp(logits.softmax(1), bank.read('acme_running_prediction', sample_idx), self.momentum)
        bank.stage('acme_running_prediction', sample_idx, mean)
        return {'target': torch.lerp(target, mean, self.share)}
