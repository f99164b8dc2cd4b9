"""Rank regularization of sample importance (SCN)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmfer.functional import group_means, rank_regularization
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS


@MODELS.register_module()
class RankRegularizationLoss(Part):
    """Keeps the mean importance of the certain faces above that of the uncertain ones by a margin.

    Without it nothing holds the importances apart: all drift towards 1 and weigh nothing. Their means over both groups
    are shown beside the loss, as ``importance_high`` and ``importance_low``. See
    `SCN <https://arxiv.org/abs/2002.10392>`_, eq. 2.

    Args:
        margin: Smallest gap between the two means, delta 1; the paper's 0.15 is for batches of 1024, its authors advise
            0.07 for 64.
        ratio: Share of the global batch that counts as certain, beta.
        learnable_margin: Whether the margin is trained, too. Its gradient only ever lowers it, until the term is 0.
        loss_weight: Weight of the term. The paper halves it and the classification term; the authors' code does not.

    Shapes:
        importance: [N] or [N, 1], in (0, 1).
        returns: scalar; 0 where there are no two groups (N < 2).
    """

    def __init__(
        self, margin: float = 0.15, ratio: float = 0.7, learnable_margin: bool = False, loss_weight: float = 1.0
    ):
        super().__init__()
        if not 0 < ratio < 1:
            raise ValueError(f'ratio must lie between 0 and 1, got {ratio}: both groups need faces')
        if not 0 <= margin < 1:
            raise ValueError(f'margin must lie in [0, 1), got {margin}: importances do, and so does the gap')
        self.margin = nn.Parameter(torch.tensor(float(margin))) if learnable_margin else margin
        self.ratio, self.learnable_margin, self.loss_weight = ratio, learnable_margin, loss_weight

    def check_run(self, faces: int, max_epochs: int) -> None:
        """Refuses batches that have no two groups.

        Raises:
            ValueError: A batch has one face.
        """
        if faces < 2:
            raise ValueError(
                'RankRegularizationLoss compares two groups of a batch, which has one face: set a larger '
                'train_dataloader.batch_size'
            )

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """Both groups are parts of one batch."""
        return 'ranks the faces of a batch'

    def forward(self, importance: Tensor, log: Callable[..., None]) -> Tensor:
        """Over the global batch."""
        importance = importance.flatten()
        if len(importance) > 1:
            high, low = group_means(importance, self.ratio)
            log(importance_high=high, importance_low=low)
        if self.learnable_margin:
            log(margin=self.margin)
        return self.loss_weight * rank_regularization(importance, self.margin, self.ratio)
