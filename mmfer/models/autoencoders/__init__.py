"""Networks that are trained before a classifier, to serve its supervision."""

from mmfer.models.autoencoders.face_auto_encoder import FaceAutoEncoder

__all__ = ['FaceAutoEncoder']
