"""Classifiers, heads, losses, branches and refiners; importing registers them."""

from mmfer.models import classifiers, heads, losses, supervision
from mmfer.models.data_preprocessor import FaceDataPreprocessor

__all__ = ['FaceDataPreprocessor', 'classifiers', 'heads', 'losses', 'supervision']
