"""Samplers of training faces."""

from mmfer.datasets.samplers.class_balanced import ClassBalancedSampler
from mmfer.datasets.samplers.effective_number import EffectiveNumberSampler
from mmfer.datasets.samplers.every_face import EveryFaceSampler
from mmfer.datasets.samplers.progressive import ProgressiveSampler

__all__ = ['ClassBalancedSampler', 'EffectiveNumberSampler', 'EveryFaceSampler', 'ProgressiveSampler']
