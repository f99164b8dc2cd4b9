"""Networks that are trained before a classifier, to serve its supervision."""

from mmfer.models.autoencoders.face_auto_encoder import FaceAutoEncoder
from mmfer.models.autoencoders.neighbourhood import Neighbourhood
from mmfer.models.autoencoders.weights import load_autoencoder

__all__ = ['FaceAutoEncoder', 'Neighbourhood', 'load_autoencoder']
