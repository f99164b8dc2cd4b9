"""Samplers of training faces."""

from .class_balanced import ClassBalancedSampler
from .effective_number import EffectiveNumberSampler
from .progressive import ProgressiveSampler

__all__ = ['ClassBalancedSampler', 'EffectiveNumberSampler', 'ProgressiveSampler']
