"""The embedding [N, D] of a face: what the last layer of a head sees, whatever the head is called and made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmfer.models.probing.feature_maps import find_tensor
from mmfer.models.probing.trial import backbone_size, picture, undisturbed


def embedding_of(head: nn.Module | None, features: Any) -> Tensor:
    """The embedding of what goes into a head.

    Args:
        head: One of mmpretrain's, or any other. One without `pre_logits` is held to be a single layer, as is None.
        features: What the neck gives, or the backbone where there is no neck.

    Returns:
        [N, D]: several vectors of a face, such as class and distillation token, side by side; of a map and of tokens
        the mean.
    """
    if hasattr(head, 'pre_logits'):
        values = head.pre_logits(features)
    else:
        values = features[-1] if isinstance(features, tuple | list) else features
    if isinstance(values, tuple | list) and all(isinstance(part, Tensor) and part.ndim == 2 for part in values):
        values = torch.cat(list(values), dim=1)
    values, _ = find_tensor(values)
    return values.flatten(2).mean(2) if values.ndim == 4 else values.mean(1) if values.ndim == 3 else values


@torch.no_grad()
def embedding_width(model: nn.Module) -> int:
    """D of a classifier, as a trial run shows it."""
    with undisturbed(model):
        return embedding_of(model.head, _trial_features(model)).size(1)


@torch.no_grad()
def needs_head(model: nn.Module) -> bool:
    """Whether the embedding is more than what goes into the head, such as what a hidden layer makes of it."""
    with undisturbed(model):
        features = _trial_features(model)
        return embedding_of(model.head, features) is not embedding_of(None, features)


def _trial_features(model: nn.Module) -> Any:
    return model.extract_feat(picture(model.backbone, backbone_size(model)))
