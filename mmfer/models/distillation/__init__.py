"""A network that learns from one that knows faces, without labels."""

from mmfer.models.distillation.distilled_embedding import DistilledEmbedding
from mmfer.models.distillation.face_descriptor import FaceDescriptor

__all__ = ['DistilledEmbedding', 'FaceDescriptor']
