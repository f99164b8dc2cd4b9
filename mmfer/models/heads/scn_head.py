"""The head of SCN: a linear classifier whose training logits are scaled by a sample's importance."""

from typing import Any

from mmpretrain.models import LinearClsHead
from torch import Tensor, nn

from mmfer.registry import MODELS


@MODELS.register_module()
class SCNHead(LinearClsHead):
    """Learns how much a face is to be trusted, while it learns to classify.

    In training the logits are ``alpha * fc(x)`` with the importance ``alpha = sigmoid(w x + b)``: a face that the
    network cannot explain keeps its loss low with a small alpha, and then hardly moves the weights. See
    `SCN <https://arxiv.org/abs/2002.10392>`_, sec. 3.2 (logit-weighted cross-entropy).

    Otherwise the logits are plain ``fc(x)``: one positive factor for all classes changes no decision, and so the
    deployed head is mmpretrain's `LinearClsHead`, with the same ``fc.*`` weights. Only the probabilities are sharper
    than with alpha. The importance is the output of the child `attention`, for a tap: ``importance='head.attention'``.

    Both linear layers start as torch's do, as in the authors' code. With the N(0, .01) of `LinearClsHead` the
    importances would start nearly equal, with a gap between the groups below the margin of the rank regularization.

    Args:
        num_classes: K.
        in_channels: D.
        init_cfg: Another start, as mmengine describes them.
        **kwargs: As in `mmpretrain.models.LinearClsHead`.

    Shapes:
        feats: a tuple; its last element [N, D].
        returns: [N, K].
    """

    train_only = ('attention',)
    """Children that an export leaves out."""

    def __init__(self, num_classes: int, in_channels: int, init_cfg: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        self.attention = nn.Sequential(nn.Linear(in_channels, 1), nn.Sigmoid())

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Class scores, scaled in training only."""
        x = self.pre_logits(feats)
        logits = self.fc(x)
        return self.attention(x) * logits if self.training else logits
