"""Samplers of training faces."""
from .class_balanced import ClassBalancedSampler
from .progressive import ProgressiveSampler

__all__ = ['ClassBalancedSampler', 'ProgressiveSampler']
