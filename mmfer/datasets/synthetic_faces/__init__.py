"""Faces drawn from parameters: see :class:`SyntheticFaces`."""

from .action_units import CLASSES, UNITS, mix_units, sample_distribution
from .capture import Capture, sample_capture
from .dataset import SyntheticFaces
from .draw import draw_face
from .person import Person, sample_person

__all__ = [
    'CLASSES',
    'UNITS',
    'Capture',
    'Person',
    'SyntheticFaces',
    'draw_face',
    'mix_units',
    'sample_capture',
    'sample_distribution',
    'sample_person',
]
