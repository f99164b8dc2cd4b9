"""Expression-landmark contrastive loss (LA-Net)."""

from torch import Tensor

from mmfer.functional import queue_contrast
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS


@MODELS.register_module()
class LandmarkContrastiveLoss(Part):
    """Draws a face's expression embedding to the landmark embeddings of its pseudo-class, and the reverse.

    Each query meets the keys of the other space: those of the batch with its pseudo-label are positives, those of the
    queue with another one negatives. See `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.3.

    Args:
        temperature: Of the softmax.
        loss_weight: Weight of the term.

    Shapes:
        expression_query, landmark_query, expression_key, landmark_key: [N, D], L2-normalised.
        expression_queue, landmark_queue: [Q, D], L2-normalised.
        pseudo_label: [N].
        queue_label: [Q], -1 for an empty slot.
        returns: scalar.
    """

    def __init__(self, temperature: float = 0.1, loss_weight: float = 0.1):
        super().__init__()
        if not temperature > 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        self.temperature, self.loss_weight = temperature, loss_weight

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """The positives are."""
        return 'compares the faces of a batch with each other'

    def forward(
        self,
        expression_query: Tensor,
        landmark_query: Tensor,
        expression_key: Tensor,
        landmark_key: Tensor,
        expression_queue: Tensor,
        landmark_queue: Tensor,
        pseudo_label: Tensor,
        queue_label: Tensor,
    ) -> Tensor:
        """Sum of both directions over the global batch."""
        to_landmark = queue_contrast(
            expression_query, landmark_key, landmark_queue, pseudo_label, queue_label, self.temperature
        )
        to_expression = queue_contrast(
            landmark_query, expression_key, expression_queue, pseudo_label, queue_label, self.temperature
        )
        return self.loss_weight * (to_landmark + to_expression)
