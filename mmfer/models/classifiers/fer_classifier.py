"""An image classifier that learns under supervision and is deployed without it."""

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor

from mmfer.models.classifiers.fit import check_fit
from mmfer.models.pretrained import load_pretrained
from mmfer.models.supervision import Supervision
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch


@MODELS.register_module()
class FERClassifier(ImageClassifier):
    """mmpretrain's classifier with one more child, `supervision`, that exists for training only.

    `predict` and `tensor` are inherited: what a method adds to training costs nothing afterwards. Without
    `supervision` this is a plain `ImageClassifier`.

    Args:
        *args: As in `mmpretrain.models.ImageClassifier`.
        pretrained: A file of backbone weights, or ``torchvision://resnet18``. Every tensor of the backbone must be
            found in it. Read when a run begins, not when the model is built for testing.
        supervision: Methods by name, see :class:`~mmfer.models.supervision.Supervision`.
        **kwargs: As in `mmpretrain.models.ImageClassifier`.
    """

    def __init__(self, *args, pretrained: str | None = None, supervision: dict | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.pretrained = pretrained
        check_fit(self, supervised=bool(supervision))
        self.supervision = Supervision(supervision, self) if supervision else None
        self.to(memory_format=torch.channels_last)  # what convolution kernels prefer; the values stay the same

    def init_weights(self) -> None:
        """Initialises the network, loads pretrained weights, then lets the supervision start from them."""
        super().init_weights()
        if self.pretrained:
            load_pretrained(self.backbone, self.pretrained)
        if self.supervision is not None:
            self.supervision.initialize(self, pretrained=bool(self.pretrained))

    def loss(self, inputs: Tensor, data_samples: FaceBatch | list) -> dict[str, Tensor]:
        """Losses of a training step.

        Args:
            inputs: Images [N, 3, H, W].
            data_samples: What came with them.

        Returns:
            Losses by name; MMEngine sums those whose name contains "loss".
        """
        if self.supervision is None:
            return super().loss(inputs, data_samples)
        if not isinstance(data_samples, FaceBatch):
            data_samples = FaceBatch.from_data_samples(data_samples).to(inputs.device)
        return self.supervision(self, inputs, data_samples)
