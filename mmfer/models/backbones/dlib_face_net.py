"""The network of dlib's face recognition, as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import constant_init
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmfer.registry import MODELS
from mmfer.structures.ranges import check_range

STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""Channels and blocks of each stage; all but the first begin with a block that halves the map."""


@MODELS.register_module()
class DlibFaceNet(BaseBackbone):
    """The residual network of 29 convolutions that dlib recognises faces with.

    In dlib it is `dlib_face_recognition_resnet_model_v1`. `model.pretrained="dlib://face"` starts it from the weights
    there, which know faces and are free (docs/backbones.md).
    It takes images of any size from 11 px; dlib's has 150. Its strided convolutions have no padding, so that maps are
    a little smaller than those of a ResNet, and each halving block adds two maps of unlike size, zero where one ends.

    Args:
        num_stages: How many of the five stages there are.
        out_indices: Stages whose maps are given, from 0. Defaults to None: the last.
        norm_cfg: Of the norm behind each convolution. Defaults to None, as dlib deploys it: convolutions have biases,
            into which its batch norm has gone. To train from scratch take ``dict(type='BN')``.
        frozen_stages: The first so many stages, and what is before them, are not trained; -1 freezes nothing.
        norm_eval: Whether batch norms keep their statistics in training.
        init_cfg: How weights begin that are not loaded.

    Shapes:
        x: [N, 3, H, W].
        returns: Tuple of [N, C, h, w]. The five stages have 32, 64, 128, 256 and 256 channels, and a side of 35, 17, 8,
            4 and 2 cells of a 150 px image; 22, 11, 5, 2 and 1 of 96 px; 54, 27, 13, 6 and 3 of 224 px.
    """

    def __init__(
        self,
        num_stages: int = len(STAGES),
        out_indices: Sequence[int] | None = None,
        norm_cfg: dict[str, Any] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict[str, Any] | Sequence[dict[str, Any]] | None = (
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ),
    ):
        super().__init__(list(init_cfg) if isinstance(init_cfg, tuple) else init_cfg)
        check_range('DlibFaceNet: num_stages', num_stages, 1, len(STAGES), whole=True)
        check_range('DlibFaceNet: frozen_stages', frozen_stages, -1, num_stages, whole=True)
        self.out_indices = (num_stages - 1,) if out_indices is None else tuple(out_indices)
        for index in self.out_indices:
            check_range('DlibFaceNet: out_indices', index, 0, num_stages - 1, whole=True)
        self.num_stages, self.frozen_stages, self.norm_eval = num_stages, frozen_stages, norm_eval
        width = STAGES[0][0]
        self.conv1 = nn.Conv2d(3, width, 7, 2, bias=norm_cfg is None)
        self.norm1 = _norm(norm_cfg, width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2)
        for number, (channels, blocks) in enumerate(STAGES[:num_stages]):
            stage = [FaceBlock(width, channels, 1 if number == 0 else 2, norm_cfg)]
            stage += [FaceBlock(channels, channels, 1, norm_cfg) for _ in range(blocks - 1)]
            setattr(self, f'layer{number + 1}', nn.Sequential(*stage))
            width = channels
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps of the stages that are asked for."""
        x = self.maxpool(self.relu(self.norm1(self.conv1(x))))
        maps = []
        for number in range(max(self.out_indices) + 1):
            x = getattr(self, f'layer{number + 1}')(x)
            if number in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def init_weights(self) -> None:
        """Begins anew; without norms each block begins by giving what it is given, or values would grow with each."""
        super().init_weights()
        for block in self.modules():
            if isinstance(block, FaceBlock) and isinstance(block.norm2, nn.Identity):
                constant_init(block.conv2, 0)

    def train(self, mode: bool = True) -> DlibFaceNet:
        """As any module's, but for what is frozen."""
        super().train(mode)
        self._freeze()
        for module in self.modules() if self.norm_eval else ():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self

    def _freeze(self) -> None:
        names = ['conv1', 'norm1', *(f'layer{number + 1}' for number in range(self.frozen_stages))]
        for name in names if self.frozen_stages >= 0 else ():
            getattr(self, name).eval().requires_grad_(False)


class FaceBlock(nn.Module):
    """Two convolutions of 3 x 3, added to what they are given.

    Args:
        in_channels: Of what it is given.
        channels: Of what it gives.
        stride: 1, or 2 to halve the map.
        norm_cfg: Of the norm behind each convolution; None for biases.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, norm_cfg: dict[str, Any] | None):
        super().__init__()
        self.stride, bias = stride, norm_cfg is None
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1 if stride == 1 else 0, bias=bias)
        self.norm1 = _norm(norm_cfg, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.norm2 = _norm(norm_cfg, channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, channels, h, w] of maps [N, in_channels, H, W]."""
        shortcut = x
        if self.stride == 2:
            height, width = x.shape[-2:]
            shortcut = F.avg_pool2d(x, (min(2, height), min(2, width)), 2)
            x = _enlarged(x, x.size(1), max(3, height), max(3, width))  # dlib's has no maps below 3 x 3 cells
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.norm2(self.conv2(x))
        if self.stride == 2:
            sizes = [max(sides) for sides in zip(x.shape[1:], shortcut.shape[1:], strict=True)]
            x, shortcut = _enlarged(x, *sizes), _enlarged(shortcut, *sizes)
        return self.relu(x + shortcut)


def _norm(norm_cfg: dict[str, Any] | None, channels: int) -> nn.Module:
    return nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, channels)[1]


def _enlarged(x: Tensor, channels: int, height: int, width: int) -> Tensor:
    """A map with zeros behind its last channels, rows and columns."""
    return F.pad(x, (0, width - x.size(3), 0, height - x.size(2), 0, channels - x.size(1)))
