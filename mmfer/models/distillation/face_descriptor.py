"""What dlib says of a face: 128 numbers that tell people apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfer.models.backbones import DlibFaceNet
from mmfer.models.dlib_weights import read_face_net

SIDE = 150
"""Of the faces that dlib's network was trained with."""


class FaceDescriptor(nn.Module):
    """dlib's face recognition: two faces nearer than .6 are of one person, as its author found.

    Args:
        source: `dlib://face`, or a file; see :func:`~mmfer.models.dlib_weights.read_face_net`.
        preprocessor: What prepares the images; any mean and std will do.

    Raises:
        FileNotFoundError: The package or the file is missing.
        ValueError: It is another or a damaged file.
    """

    def __init__(self, source: str = 'dlib://face', preprocessor: nn.Module | None = None):
        super().__init__()
        self.backbone = DlibFaceNet()
        weights = read_face_net(source, self.backbone, preprocessor)
        weight = weights.pop('head.fc.weight')
        self.fc = nn.Linear(weight.size(1), weight.size(0), bias=False)
        self.fc.weight.data = weight
        self.backbone.load_state_dict(weights)
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Descriptors [N, 128] of faces [N, 3, H, W] of any size, as the preprocessor gives them."""
        if images.shape[-2:] != (SIDE, SIDE):
            images = F.interpolate(images, (SIDE, SIDE), mode='bilinear', antialias=True, align_corners=False)
        (maps,) = self.backbone(images)
        return self.fc(maps.mean((2, 3)))
