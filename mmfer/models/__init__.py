"""Backbones, classifiers, necks, heads, losses, branches, refiners, and networks that learn without labels."""

from mmfer.models import autoencoders, backbones, classifiers, distillation, heads, losses, necks, supervision
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor

__all__ = [
    'FaceDataPreprocessor',
    'autoencoders',
    'backbones',
    'classifiers',
    'distillation',
    'heads',
    'losses',
    'necks',
    'supervision',
]
