"""Less weight for faces whose label their neighbourhood contradicts (SNA)."""

import logging
import math
from collections.abc import Callable

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmfer.functional import jensen_shannon
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS
from mmfer.structures import Column, SampleBank
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class ReliabilityWeights(Part):
    """Finds unreliable faces by their instability and reduces their weight in the classification term.

    The instability U of a face is the running mean of the Jensen-Shannon divergence (as a share of ln 2) between the
    prediction for it and that for its neighbour. A face is unreliable if its U is among the largest `fraction` of its
    labelled class, and the mean of the two predictions is for another class than its target, which other refiners may
    have amended: a label that was mended is not distrusted for what it was. It then counts with
    ``max(floor, exp(-U / temperature))``. Ranks are taken within a class, as rare expressions are less stable as a
    whole and would be thrown out together. See `SNA <https://arxiv.org/abs/2004.12725>`_ for the idea; the rule is our
    reconstruction.

    Args:
        momentum: Share of the remembered instability at each visit.
        fraction: Share of each class that can be unreliable.
        warmup: Epochs before any weight is reduced.
        floor: Smallest weight.
        temperature: Instability at which the weight has fallen to 1 / e.

    Raises:
        ValueError: If one of them is out of its range.

    Shapes:
        logits, neighbour_logits: [N, K]; label, weight, sample_idx: [N]; target: [N] or [N, K].
        publishes: weight [N], the incoming weight times that of this rule.
    """

    publishes = ('weight',)

    def __init__(
        self,
        momentum: float = 0.9,
        fraction: float = 0.1,
        warmup: int = 5,
        floor: float = 0.1,
        temperature: float = 0.1,
    ):
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}: at 1 no instability would be learnt')
        if not 0 < fraction <= 1:
            raise ValueError(f'fraction must lie in (0, 1], got {fraction}')
        if not 0 <= floor <= 1:
            raise ValueError(f'floor must lie in [0, 1], got {floor}')
        if not temperature > 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        check_range('warmup', warmup, 0, whole=True, why='it is a number of epochs')
        self.momentum, self.fraction, self.warmup = momentum, fraction, warmup
        self.floor, self.temperature = floor, temperature

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """Weights make it so: the classification term is divided by their sum."""
        return 'gives weights, whose sum over a batch the classification term is divided by'

    def check_run(self, faces: int, max_epochs: int) -> None:
        """Says so where the run ends before any weight falls, or none can."""
        if self.warmup >= max_epochs or self.floor == 1:
            why = f'warmup={self.warmup} of {max_epochs} epochs' if self.warmup >= max_epochs else 'floor=1'
            print_log(
                f'ReliabilityWeights never reduces a weight ({why}); set a smaller one',
                logger='current',
                level=logging.WARNING,
            )

    def bank_columns(self) -> dict[str, Column]:
        """The instability, and the weight last given, for reports."""
        return {'instability': Column(start=0.0), 'reliability': Column(start=1.0)}

    @torch.no_grad()
    def forward(
        self,
        logits: Tensor,
        neighbour_logits: Tensor,
        label: Tensor,
        target: Tensor,
        weight: Tensor,
        sample_idx: Tensor,
        epoch: int,
        bank: SampleBank,
        log: Callable[..., None],
    ) -> dict[str, Tensor]:
        """Publishes the weights and stages what is to be remembered."""
        remembered = bank.read('instability', sample_idx)
        divergence = jensen_shannon(logits, neighbour_logits) / math.log(2)
        instability = self.momentum * remembered + (1 - self.momentum) * divergence
        bank.stage('instability', sample_idx, instability)

        unreliable = torch.zeros_like(label, dtype=torch.bool)
        if epoch >= self.warmup:
            thresholds = bank.of_epoch(
                'instability_thresholds',
                epoch,
                lambda: class_thresholds(bank.column('instability'), bank.labels, self.fraction, logits.size(1)),
            )
            # What was remembered is what was ranked.
            unstable = remembered >= thresholds.to(label.device)[label]
            taught = target if target.dim() == 1 else target.argmax(1)
            disputed = (logits.softmax(1) + neighbour_logits.softmax(1)).argmax(1) != taught
            unreliable = unstable & disputed
        reliability = (-instability / self.temperature).exp().clamp_min(self.floor)
        reliability = torch.where(unreliable, reliability, 1.0)
        bank.stage('reliability', sample_idx, reliability)
        log(instability=instability.mean(), unreliable=unreliable.float().mean())
        return {'weight': weight * reliability}


def class_thresholds(values: Tensor, labels: Tensor, fraction: float, num_classes: int) -> Tensor:
    """The smallest of each class's largest values, at least one of them; infinite where that would be 0, or no face.

    Args:
        values: Of all samples.
        labels: Likewise.
        fraction: How many values of a class are large.
        num_classes: K.

    Shapes:
        values, labels: [N].
        returns: [K].
    """
    by_value = values.argsort(descending=True, stable=True)
    order = by_value[labels[by_value].argsort(stable=True)]  # class by class, the largest first
    # No bincount: on GPUs it waits for the device to learn how many classes there are.
    counts = torch.zeros(num_classes, dtype=torch.int64, device=labels.device).index_add_(
        0, labels, torch.ones_like(labels)
    )
    large = (fraction * counts + 0.5).floor().long().clamp_min(1)
    last = (counts.cumsum(0) - counts + large - 1).clamp_max(len(values) - 1)
    thresholds = values[order[last]]
    return torch.where((counts > 0) & (thresholds > 0), thresholds, torch.inf)
