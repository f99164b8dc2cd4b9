"""Classifiers, losses, branches and refiners; importing registers them."""

from mmfer.models import classifiers, losses, supervision
from mmfer.models.data_preprocessor import FaceDataPreprocessor

__all__ = ['FaceDataPreprocessor', 'classifiers', 'losses', 'supervision']
