"""Cross-entropy against the step's target."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS
from mmfer.structures.naming import did_you_mean


@MODELS.register_module()
class CrossEntropyLoss(Part):
    """The classification term: cross-entropy of the logits against `target`, weighted by `weight`.

    It stands once in a model, whatever methods are added: they change `target` and `weight`. With `weight` of 1 it is
    :func:`torch.nn.functional.cross_entropy` with ``weight=class_weight``, also in what the sum is divided by: where
    targets are class ids the sum of their class weights, where they are distributions the number of faces. Weights of
    faces multiply both the terms and what they are divided by.

    Args:
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        loss_weight: Weight of the term.
        class_weight: How much each class counts: K numbers in the order of the data set, or by class name, of which
            those that are not named count 1.

    Shapes:
        logits: [N, K].
        target: [N] class ids or [N, K] distributions.
        weight: [N]; the term is the weighted mean, 0 where all weights are.
        returns: scalar.

    Raises:
        ValueError: If a setting is out of its range, or `class_weight` does not fit the classes.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        loss_weight: float = 1.0,
        class_weight: Sequence[float] | Mapping[str, float] | None = None,
    ):
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'label_smoothing must lie in [0, 1), got {label_smoothing}: at 1 no target is left')
        self.label_smoothing, self.loss_weight = label_smoothing, loss_weight
        self.by_name = dict(class_weight) if isinstance(class_weight, Mapping) else None
        values = list((self.by_name or {}).values() if isinstance(class_weight, Mapping) else class_weight or ())
        if class_weight is not None and not (all(0 <= value < float('inf') for value in values) and any(values)):
            raise ValueError(f'class_weight must be numbers from 0, not all of them 0, got {class_weight}')
        known = None if self.by_name is not None or class_weight is None else torch.tensor(values, dtype=torch.float)
        self.register_buffer('class_weight', known, persistent=False)  # a setting, no part of checkpoints

    def check(self, model: nn.Module, wrapper: nn.Module | None = None) -> None:
        """Refuses weights of another number of classes."""
        classes = getattr(model.head, 'num_classes', None)
        if self.class_weight is not None and classes is not None and len(self.class_weight) != classes:
            raise ValueError(
                f'class_weight has {len(self.class_weight)} numbers, but model.head.num_classes is {classes}: give one '
                'a class, or weights by class name'
            )

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """Class weights are part of what the sum is divided by."""
        known = self.by_name is not None or self.class_weight is not None
        return 'divides by the class weights of the faces in a batch' if known else ''

    def name_classes(self, classes: Sequence[str]) -> None:
        """Called before the run with the names of the training set's classes, in order."""
        if self.by_name is None:
            return
        for name in self.by_name:
            if name not in classes:
                hint = did_you_mean(name, classes, "'")
                raise ValueError(f'class_weight names {name!r}, but the classes are {", ".join(classes)}{hint}')
        self.class_weight = torch.tensor([float(self.by_name.get(name, 1)) for name in classes])

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted mean over the global batch."""
        of_classes = None if self.class_weight is None else self.class_weight.to(logits)
        terms = F.cross_entropy(logits, target, of_classes, reduction='none', label_smoothing=self.label_smoothing)
        counts = weight if of_classes is None or target.dim() > 1 else weight * of_classes[target]
        total = counts.sum().clamp_min(torch.finfo(weight.dtype).tiny)  # a method may take a whole batch out
        return self.loss_weight * (terms * weight).sum() / total
