"""Heads."""

from mmfer.models.heads.scn_head import SCNHead

__all__ = ['SCNHead']
