"""Samplers of training faces."""
from .progressive import ProgressiveSampler

__all__ = ['ProgressiveSampler']
