"""Datasets, samplers and per-image transforms."""

from .affectnet import AffectNet
from .caers import CAERS
from .collate import collate_faces
from .concat_faces import ConcatFaces
from .csv_faces import CsvFaces
from .expw import ExpW
from .face_dataset import FaceDataset
from .fer2013 import FER2013
from .ferplus import FERPlus
from .folder import FolderFaces
from .rafdb import RAFDB
from .rafdb_compound import RAFDBCompound
from .samplers import ClassBalancedSampler, EffectiveNumberSampler, ProgressiveSampler
from .sfew import SFEW
from .synthetic_faces import SyntheticFaces
from .transforms import LoadFace, PackFace

__all__ = [
    'CAERS',
    'FER2013',
    'RAFDB',
    'SFEW',
    'AffectNet',
    'ClassBalancedSampler',
    'ConcatFaces',
    'CsvFaces',
    'EffectiveNumberSampler',
    'ExpW',
    'FERPlus',
    'FaceDataset',
    'FolderFaces',
    'LoadFace',
    'PackFace',
    'ProgressiveSampler',
    'RAFDBCompound',
    'SyntheticFaces',
    'collate_faces',
]
