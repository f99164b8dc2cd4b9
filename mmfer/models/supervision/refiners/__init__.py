"""Parts that decide this step's targets from predictions and memory."""

from mmfer.models.supervision.refiners.label_distribution_estimation import LabelDistributionEstimation
from mmfer.models.supervision.refiners.margin_relabel import MarginRelabel
from mmfer.models.supervision.refiners.reliability_weights import ReliabilityWeights

__all__ = ['LabelDistributionEstimation', 'MarginRelabel', 'ReliabilityWeights']
