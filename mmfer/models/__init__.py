"""Backbones, classifiers, necks, heads, autoencoders, losses, branches and refiners; importing registers them."""

from mmfer.models import autoencoders, backbones, classifiers, heads, losses, necks, supervision
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor

__all__ = [
    'FaceDataPreprocessor',
    'autoencoders',
    'backbones',
    'classifiers',
    'heads',
    'losses',
    'necks',
    'supervision',
]
