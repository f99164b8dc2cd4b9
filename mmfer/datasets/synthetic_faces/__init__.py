"""Faces drawn from parameters: see :class:`SyntheticFaces`."""

from mmfer.datasets.synthetic_faces.action_units import CLASSES, UNITS, mix_units, sample_distribution
from mmfer.datasets.synthetic_faces.capture import Capture, sample_capture
from mmfer.datasets.synthetic_faces.dataset import SyntheticFaces
from mmfer.datasets.synthetic_faces.draw import draw_face
from mmfer.datasets.synthetic_faces.person import Person, sample_person

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
