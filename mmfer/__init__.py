"""mmfer: facial expression recognition that stays reliable when the labels are noisy."""

from mmfer import compat

__version__ = '0.1.0'

compat.apply()
