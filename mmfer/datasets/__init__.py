"""Datasets, samplers and per-image transforms."""

from mmfer.datasets.affectnet import AffectNet
from mmfer.datasets.caers import CAERS
from mmfer.datasets.concat_faces import ConcatFaces
from mmfer.datasets.csv_faces import CsvFaces
from mmfer.datasets.expw import ExpW
from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.fer2013 import FER2013
from mmfer.datasets.ferplus import FERPlus
from mmfer.datasets.folder import FolderFaces
from mmfer.datasets.packing.collate import collate_faces
from mmfer.datasets.rafdb import RAFDB
from mmfer.datasets.rafdb_compound import RAFDBCompound
from mmfer.datasets.samplers import ClassBalancedSampler, EffectiveNumberSampler, ProgressiveSampler
from mmfer.datasets.sfew import SFEW
from mmfer.datasets.synthetic_faces import SyntheticFaces
from mmfer.datasets.transforms.load_face import LoadFace
from mmfer.datasets.transforms.pack_face import PackFace

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
