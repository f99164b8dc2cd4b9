"""Datasets, samplers and per-image transforms."""
from .collate import collate_faces
from .concat_faces import ConcatFaces
from .face_dataset import FaceDataset
from .rafdb import RAFDB
from .samplers import ClassBalancedSampler, EffectiveNumberSampler, ProgressiveSampler
from .synthetic_faces import SyntheticFaces
from .transforms import LoadFace, PackFace

__all__ = [
    'RAFDB',
    'ClassBalancedSampler',
    'ConcatFaces',
    'EffectiveNumberSampler',
    'FaceDataset',
    'LoadFace',
    'PackFace',
    'ProgressiveSampler',
    'SyntheticFaces',
    'collate_faces',
]
