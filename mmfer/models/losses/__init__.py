"""Losses, one idea a file."""

from mmfer.models.losses.cross_entropy import CrossEntropyLoss
from mmfer.models.losses.distribution_kl import DistributionKLLoss
from mmfer.models.losses.landmark_contrastive import LandmarkContrastiveLoss
from mmfer.models.losses.landmark_heatmap import LandmarkHeatmapLoss
from mmfer.models.losses.neighborhood_smoothness import NeighborhoodSmoothnessLoss
from mmfer.models.losses.privileged_attribution import PrivilegedAttributionLoss
from mmfer.models.losses.rank_regularization import RankRegularizationLoss

__all__ = [
    'CrossEntropyLoss',
    'DistributionKLLoss',
    'LandmarkContrastiveLoss',
    'LandmarkHeatmapLoss',
    'NeighborhoodSmoothnessLoss',
    'PrivilegedAttributionLoss',
    'RankRegularizationLoss',
]
