"""Necks: from the backbone's map to the head's features."""

from mmfer.models.necks.arm import ARM

__all__ = ['ARM']
