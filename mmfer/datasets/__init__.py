"""Datasets, samplers and per-image transforms."""
from .collate import collate_faces
from .face_dataset import FaceDataset
from .rafdb import RAFDB
from .samplers import ProgressiveSampler
from .transforms import LoadFace, PackFace

__all__ = ['RAFDB', 'FaceDataset', 'LoadFace', 'PackFace', 'ProgressiveSampler', 'collate_faces']
