"""Parts that decide this step's targets from predictions and memory."""

from mmfer.models.supervision.refiners.label_distribution_estimation import LabelDistributionEstimation

__all__ = ['LabelDistributionEstimation']
