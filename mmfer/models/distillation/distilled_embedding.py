"""Teaches a backbone to describe faces as dlib's face recognition does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmfer.functional import mean_over_ranks, sum_over_ranks
from mmfer.models.distillation.face_descriptor import FaceDescriptor
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch


@MODELS.register_module()
class DistilledEmbedding(BaseModel):
    """A backbone that learns the 128 numbers by which dlib tells people apart, from faces without labels.

    Methods of this field are published on networks that know faces, of a data set that has been withdrawn. This makes
    such a start for any backbone, from any folder of faces: the loss is the squared distance between the descriptor
    of a face and a linear map of the backbone's features, `Distilling the Knowledge in a Neural Network
    <https://arxiv.org/abs/1503.02531>`_ in its simplest form. The checkpoint is for `model.pretrained` of a classifier
    with the same backbone.

    Args:
        backbone: Config of the network to teach.
        neck: Between it and the linear map. Defaults to global average pooling.
        in_channels: Features behind the neck.
        teacher: Where dlib's weights are, see :class:`FaceDescriptor`.
        data_preprocessor: A `FaceDataPreprocessor`; teacher and backbone see the same images.
        init_cfg: How the backbone begins.

    Shapes:
        inputs: [N, 3, H, W].
        embeddings, descriptors: [N, 128].
    """

    teacher: FaceDescriptor
    mean_descriptor: Tensor
    steps: Tensor

    def __init__(
        self,
        backbone: dict[str, Any],
        neck: dict[str, Any] | None = None,
        in_channels: int = 512,
        teacher: str = 'dlib://face',
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        init_cfg: dict[str, Any] | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = MODELS.build(neck or dict(type='mmpretrain.GlobalAveragePooling'))
        # No part of the network: it is neither trained nor kept in checkpoints.
        self.__dict__['teacher'] = FaceDescriptor(teacher, self.data_preprocessor)
        dimension = self.teacher.fc.out_features
        self.embed = nn.Linear(in_channels, dimension)
        self.register_buffer('mean_descriptor', torch.zeros(dimension))
        self.register_buffer('steps', torch.tensor(0))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DistilledEmbedding:
        """Takes the teacher along, wherever it goes."""
        self.teacher._apply(fn)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)
        return self

    def extract(self, inputs: Tensor) -> Tensor:
        """Embeddings of faces."""
        features = self.neck(self.backbone(inputs))
        return self.embed(features[-1] if isinstance(features, tuple) else features)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """What MMEngine calls: 'loss' gives losses, 'predict' judged embeddings, 'tensor' embeddings."""
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return self.extract(inputs)

    def loss(self, inputs: Tensor) -> dict[str, Tensor]:
        """The term of a training step; a mean over the global batch."""
        descriptors = self.teacher(inputs).float()
        with torch.no_grad():  # of all steps: what a network that sees nothing could say
            rows = sum_over_ranks(torch.tensor(float(len(inputs)), device=inputs.device))
            self.steps += 1
            self.mean_descriptor.lerp_(sum_over_ranks(descriptors.sum(0)) / rows, 1 / self.steps)
        error = (self.extract(inputs).float() - descriptors).square().sum(1)
        return {'embedding_loss': mean_over_ranks(error)}

    def predict(self, inputs: Tensor, data_samples: FaceBatch) -> list[Any]:
        """Data samples with ``embedding_error`` and ``mean_error``: squared distances to dlib's descriptor.

        The second is that of the mean descriptor in training, the best that could be said without seeing the face.
        """
        descriptors = self.teacher(inputs).float()
        errors = (self.extract(inputs).float() - descriptors).square().sum(1)
        trivial = (self.mean_descriptor - descriptors).square().sum(1)
        samples = list(data_samples)
        for sample, error, reference in zip(samples, errors, trivial, strict=True):
            sample.set_field(error, 'embedding_error', dtype=Tensor)
            sample.set_field(reference, 'mean_error', dtype=Tensor)
        return samples
