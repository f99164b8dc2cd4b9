"""An image classifier that learns under supervision and is deployed without it."""

from collections.abc import Mapping
from typing import Any

import torch
from mmpretrain.models import ClsHead, ImageClassifier
from torch import Tensor, nn

from mmfer.models.classifiers.fit import check_fit
from mmfer.models.pretrained import load_pretrained
from mmfer.models.supervision import Supervision
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch

_OWN_LOSS = ('loss', 'cal_acc', 'topk')


@MODELS.register_module()
class FERClassifier(ImageClassifier):
    """mmpretrain's classifier with one more child, `supervision`, that exists for training only.

    `predict` and `tensor` are inherited: what a method adds to training costs nothing afterwards. Without
    `supervision` this is a plain `ImageClassifier`.

    Args:
        *args: As in `mmpretrain.models.ImageClassifier`.
        pretrained: A file of backbone weights, ``torchvision://resnet18`` or ``dlib://face``. Every tensor of the
            backbone must be found in it. Read when a run begins, not when the model is built for testing.
        supervision: Methods by name, see :class:`~mmfer.models.supervision.Supervision`.
        **kwargs: As in `mmpretrain.models.ImageClassifier`.
    """

    def __init__(
        self, *args: Any, pretrained: str | None = None, supervision: dict[str, Any] | None = None, **kwargs: Any
    ):
        if isinstance(kwargs.get('head'), Mapping):
            # Also without supervision: a checkpoint's config is built that way, and may say head.loss=None.
            kwargs['head'] = _without_unused(kwargs['head']) if supervision else _without_none(kwargs['head'])
        super().__init__(*args, **kwargs)
        if supervision:
            _check_loss_of_head(self.head)
        self.pretrained = pretrained
        check_fit(self, supervised=bool(supervision))
        self.supervision = Supervision(supervision, self) if supervision else None
        self.to(memory_format=torch.channels_last)  # what convolution kernels prefer; the values stay the same

    def init_weights(self) -> None:
        """Initialises the network, loads pretrained weights, then lets the supervision start from them."""
        super().init_weights()
        if self.pretrained:
            load_pretrained(self.backbone, self.pretrained, self.data_preprocessor)
        if self.supervision is not None:
            self.supervision.initialize(self, pretrained=bool(self.pretrained))

    def loss(self, inputs: Tensor, data_samples: FaceBatch | list[Any]) -> dict[str, Tensor]:
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


def _without_none(head: Mapping[str, Any]) -> dict[str, Any]:
    """The head's config, without the settings of its own loss that are None: its defaults hold."""
    return {name: value for name, value in head.items() if value is not None or name not in _OWN_LOSS}


def _without_unused(head: Mapping[str, Any]) -> dict[str, Any]:
    """The head's config, without the settings of its own loss that are None.

    Raises:
        ValueError: One is set, which supervision would never look at.
    """
    cures = dict(
        loss='the classification term is supervision.cls.losses.ce: set class_weight, label_smoothing or another type '
        'there, such as model.supervision.cls.losses.ce.label_smoothing=0.1',
        cal_acc='accuracy is what validation reports',
        topk='it is for cal_acc, and accuracy is what validation reports',
    )
    for name, cure in cures.items():
        if head.get(name) not in (None, False):
            raise ValueError(
                f'model.head.{name}={head[name]} is not used where the model has a supervision: {cure}; take it out '
                f'with model.head.{name}=None'
            )
    return {name: value for name, value in head.items() if name not in cures}


def _check_loss_of_head(head: nn.Module) -> None:
    """Refuses a head that scores otherwise in its own loss, such as one with margins."""
    if isinstance(head, ClsHead) and type(head).loss is not ClsHead.loss:
        raise ValueError(
            f'{type(head).__name__} has a loss of its own, which is not used where the model has a supervision: take '
            'LinearClsHead (or mmfer.SCNHead), or train with model.supervision=None'
        )
