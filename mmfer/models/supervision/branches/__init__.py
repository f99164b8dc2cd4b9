"""Train-only modules that read named tensors and publish named tensors."""

from mmfer.models.supervision.branches.gradient_activation import GradientActivation
from mmfer.models.supervision.branches.landmark_branch import LandmarkBranch
from mmfer.models.supervision.branches.momentum_keys import MomentumKeys
from mmfer.models.supervision.branches.semantic_neighbours import SemanticNeighbours

__all__ = ['GradientActivation', 'LandmarkBranch', 'MomentumKeys', 'SemanticNeighbours']
