"""What the shape of a face alone says of its expression: landmarks, without a pixel.

Labels that a network learns by heart stay in its features; the shape of a face does not change with its label. So faces
of like shape, out of the whole set, are witnesses of their own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_ROUNDS = 5
_NEIGHBOURS = 100
_SHRINKAGE = 1e-3
_AT_ONCE = 1000


def aligned_shapes(points: Tensor) -> Tensor:
    """Shapes without place, size and turn: generalised Procrustes analysis.

    See `Gower 1975 <https://doi.org/10.1007/BF02291478>`_. In the plane a turn is the factor of a complex number, so
    that the best one has a closed form.

    Args:
        points: [N, P, 2]; those of one face may not all be in one place.

    Returns:
        [N, 2 P], of the same type: centred, of length 1, turned onto their mean.
    """
    shapes = torch.view_as_complex((points - points.mean(1, keepdim=True)).double().contiguous())
    shapes = shapes / torch.linalg.vector_norm(shapes, dim=1, keepdim=True)
    mean = shapes[0]
    for _ in range(_ROUNDS):
        onto = shapes @ mean.conj()
        shapes = shapes * (onto.conj() / onto.abs().clamp_min(torch.finfo(torch.double).tiny))[:, None]
        mean = shapes.mean(0)
        mean = mean / torch.linalg.vector_norm(mean)
    return torch.view_as_real(shapes).flatten(1).to(points.dtype)


def neighbour_shares(shapes: Tensor, label: Tensor, num_classes: int, neighbours: int = _NEIGHBOURS) -> Tensor:
    """How many of the nearest faces have each label; a face is no neighbour of its own.

    Args:
        shapes: [N, D].
        label: Class ids [N].
        num_classes: K.
        neighbours: How many are asked; of fewer than that all.

    Returns:
        Shares [N, K] with sum 1.
    """
    asked = min(neighbours, len(shapes) - 1)
    counts = []
    for start in range(0, len(shapes), _AT_ONCE):
        distance = torch.cdist(shapes[start : start + _AT_ONCE], shapes)
        distance[torch.arange(len(distance)), torch.arange(start, start + len(distance))] = torch.inf
        nearest = distance.topk(asked, largest=False).indices
        counts.append(F.one_hot(label[nearest], num_classes).sum(1))
    return torch.cat(counts).double() / asked


def gaussian_shares(shapes: Tensor, label: Tensor, of: Tensor, num_classes: int) -> Tensor:
    """How probable each class is if its shapes are a normal distribution, all with the same covariance.

    That is linear discriminant analysis. The covariance is drawn a little towards a multiple of one, as landmarks
    that move together would make it singular.

    Args:
        shapes: Of the faces that are learnt from, [N, D].
        label: Their class ids [N].
        of: Shapes of others [M, D].
        num_classes: K; a class without a face gets 0.

    Returns:
        Probabilities [M, K].
    """
    shapes, of = shapes.double(), of.double()
    member = F.one_hot(label, num_classes).double()
    count = member.sum(0)
    means = (member.T @ shapes) / count.clamp_min(1)[:, None]
    rest = shapes - means[label]
    covariance = rest.T @ rest / len(rest)
    dims = len(covariance)
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * covariance.trace() / dims * torch.eye(dims).to(covariance)
    weights = torch.linalg.solve(covariance, means.T)
    logits = of @ weights - 0.5 * (means * weights.T).sum(1) + (count / count.sum()).log()
    return logits.softmax(1)
