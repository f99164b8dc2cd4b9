"""Train-only parts of a classifier, and what runs them."""

from mmfer.models.supervision import branches, refiners
from mmfer.models.supervision.part import Part
from mmfer.models.supervision.step import frozen_buffers
from mmfer.models.supervision.supervision import Supervision

__all__ = ['Part', 'Supervision', 'branches', 'frozen_buffers', 'refiners']
