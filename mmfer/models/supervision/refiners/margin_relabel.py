"""Relabelling by a margin of probability (SCN)."""

import logging
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmfer.functional import high_group
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS
from mmfer.structures import Column, SampleBank
from mmfer.structures.ranges import check_range

ROUNDING = 1e-6
"""By how much a softmax in float32 may miss: it must not turn a difference of exactly the margin into a relabel."""


@MODELS.register_module()
class MarginRelabel(Part):
    """Gives a face the predicted class as its label, where that is far more probable than the label it has.

    From some epoch on a face whose largest probability exceeds that of its current label by more than a margin takes
    the class of the largest. The labels live in the sample bank: they take effect from the face's next visit, stay, and
    may change again; the data set is never touched. See `SCN <https://arxiv.org/abs/2002.10392>`_, sec. 3.4.

    The probabilities are those of the scaled logits of the training pass. Views of one face in one batch that disagree
    give it the smallest class id, as all class ids of the bank; their importances give their mean.

    Args:
        margin: Smallest difference of the probabilities, delta 2; it must be exceeded.
        start_epoch: First epoch that relabels, counted from 1.
        scope: Who may be relabelled: 'low', the less important group (the paper), or 'all' (the authors' code).
        ratio: Share of the global batch that is the more important group, beta.

    Shapes:
        logits: [N, K].
        target: [N] or [N, K]; rows of faces with another label than the observed one are replaced.
        sample_idx: [N].
        importance: [N] or [N, 1].
        publishes: target, as given.
    """

    publishes = ('target',)

    def __init__(self, margin: float = 0.2, start_epoch: int = 10, scope: str = 'low', ratio: float = 0.7):
        super().__init__()
        if not 0 <= margin < 1:
            raise ValueError(f'margin must lie in [0, 1), got {margin}: probabilities differ by less than 1')
        if start_epoch < 1:
            raise ValueError(f'start_epoch is counted from 1, got {start_epoch}')
        check_range('start_epoch', start_epoch, 1, whole=True)
        if scope not in ('low', 'all'):
            raise ValueError(f"scope must be 'low' (the paper) or 'all' (the authors' code), got {scope!r}")
        if not 0 < ratio < 1:
            raise ValueError(f'ratio must lie between 0 and 1, got {ratio}: both groups need faces')
        self.margin, self.start_epoch, self.scope, self.ratio = margin, start_epoch, scope, ratio

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """With scope='low' who may be relabelled depends on the others."""
        return 'relabels among the less important faces of a batch' if self.scope == 'low' else ''

    def check_run(self, faces: int, max_epochs: int) -> None:
        """Says so where the run ends before anything is relabelled."""
        if self.start_epoch > max_epochs:
            print_log(
                f'MarginRelabel begins in epoch {self.start_epoch}, and the run has {max_epochs}: no face is '
                'relabelled; set a smaller start_epoch',
                logger='current',
                level=logging.WARNING,
            )

    def bank_columns(self) -> dict[str, Column]:
        """The label in use starts as the observed one; the importance of a face not seen yet is 1."""
        return {'relabelled': Column(dtype='class_id', start='label'), 'importance': Column(start=1.0)}

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        sample_idx: Tensor,
        epoch: int,
        bank: SampleBank,
        importance: Tensor,
        log: Callable[..., None],
    ) -> dict[str, Tensor]:
        """Publishes the labels in use and stages the new ones."""
        label = bank.read('relabelled', sample_idx)
        importance = importance.detach().flatten()
        bank.stage('importance', sample_idx, importance)
        if epoch + 1 >= self.start_epoch:
            probs = logits.detach().softmax(1)
            peak, predicted = probs.max(1)
            moves = peak - probs.gather(1, label[:, None])[:, 0] > self.margin + ROUNDING
            if self.scope == 'low':
                moves &= ~high_group(importance, self.ratio)
            bank.stage('relabelled', sample_idx, torch.where(moves, predicted, label))
            log(newly_relabelled=moves.float().mean())
        replaced = label != bank.observed(sample_idx)
        if target.dim() == 1:
            return {'target': torch.where(replaced, label, target)}
        return {'target': torch.where(replaced[:, None], F.one_hot(label, target.size(1)).to(target), target)}
