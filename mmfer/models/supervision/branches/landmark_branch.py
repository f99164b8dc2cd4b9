"""The landmark branch of LA-Net: a second trunk that sees where the face parts are."""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model.weight_init import initialize
from torch import Tensor, nn

from mmfer.registry import MODELS
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class LandmarkBranch(nn.Module):
    """Landmark heatmaps and a landmark embedding from a trunk of its own behind the shared first stages.

    The later stages are copied from the backbone; a feature pyramid (bias-free 1x1 laterals, x2 bilinear upsampling,
    addition) carries them to the shared stage's resolution, where a bias-free 1x1 convolution gives the heatmaps. See
    `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.1. Two identities make it cheap:

    - Upsampling by 2 keeps the mean, so the pooled pyramid is the sum of the laterals of the pooled stages. The
      embedding is defined as that sum, for every input size, and needs no pyramid.
    - 1x1 convolutions commute with upsampling, so the heatmap layer is folded into the laterals and the pyramid runs
      with one channel a landmark.

    Args:
        num_landmarks: L.
        shared_stage: Backbone module whose output both trunks share; the tap that feeds this branch must be it.
        own_stages: Backbone modules behind it that the branch copies.
        channels: Of the pyramid and the embedding; by default those of the shared stage.

    Shapes:
        x: [N, C, H, W], the shared stage's output.
        publishes: heatmaps [N, L, H, W], landmark_embedding [N, channels].
    """

    publishes = ('heatmaps', 'landmark_embedding')

    def __init__(
        self,
        num_landmarks: int = 19,
        shared_stage: str = 'layer1',
        own_stages: tuple[str, ...] = ('layer2', 'layer3', 'layer4'),
        channels: int | None = None,
    ):
        super().__init__()
        check_range('num_landmarks', num_landmarks, 1, whole=True)
        check_range('channels', 1 if channels is None else channels, 1, whole=True)
        self.num_landmarks, self.shared_stage, self.own_stages = num_landmarks, shared_stage, tuple(own_stages)
        self.channels = channels
        self.stages = nn.ModuleList()
        self.laterals = nn.ModuleList()

    def setup(self, model: nn.Module, _supervision: nn.Module) -> None:
        """Copies the backbone's later stages and sizes the laterals.

        Raises:
            ValueError: If the backbone has no such stages.
        """
        missing = [name for name in (self.shared_stage, *self.own_stages) if not hasattr(model.backbone, name)]
        if missing:
            raise ValueError(
                f'LandmarkBranch copies {", ".join(self.own_stages)} behind {self.shared_stage}, but '
                f'{type(model.backbone).__name__} has no "{missing[0]}"; set shared_stage and own_stages'
            )
        self.stages.extend(copy.deepcopy(getattr(model.backbone, name)) for name in self.own_stages)
        widths = stage_widths(model.backbone, (self.shared_stage, *self.own_stages))
        self.channels = self.channels or widths[0]
        self.laterals.extend(nn.Conv2d(width, self.channels, 1, bias=False) for width in widths)
        self.to_heatmaps = nn.Conv2d(self.channels, self.num_landmarks, 1, bias=False)

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Starts from the backbone's pretrained stages, or from a draw of its own."""
        init_cfg = getattr(model.backbone, 'init_cfg', None)
        cfgs = init_cfg if isinstance(init_cfg, list) else [init_cfg or {}]
        # The other way to pretrained weights: mmpretrain's own.
        pretrained = pretrained or any(cfg.get('type') == 'Pretrained' for cfg in cfgs)
        for name, stage in zip(self.own_stages, self.stages, strict=True):
            if pretrained:
                stage.load_state_dict(getattr(model.backbone, name).state_dict())
            elif init_cfg:
                initialize(stage, init_cfg)

    def embed(self, x: Tensor, per_stage: Callable[[Tensor, nn.Module], Any] = lambda level, lateral: None):
        """The embedding, and what a function of each stage's map and lateral gives, the shared stage first."""
        embedding, results = 0, []
        for stage, lateral in zip((nn.Identity(), *self.stages), self.laterals, strict=True):
            x = stage(x)
            # Right behind the stage, so that the backward pass holds the maps' gradients of one stage at a time.
            embedding = embedding + F.linear(x.mean((2, 3)), lateral.weight.flatten(1))
            results.append(per_stage(x, lateral))
        return embedding, results

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Publishes heatmaps and embedding."""
        head = self.to_heatmaps.weight.flatten(1)

        def fold(level: Tensor, lateral: nn.Module) -> Tensor:
            return F.conv2d(level, (head @ lateral.weight.flatten(1))[..., None, None])

        embedding, levels = self.embed(x, fold)
        heatmaps = levels[-1]
        for level in reversed(levels[:-1]):
            heatmaps = level + F.interpolate(heatmaps, size=level.shape[-2:], mode='bilinear', align_corners=False)
        return {'heatmaps': heatmaps, 'landmark_embedding': embedding}


@torch.no_grad()
def stage_widths(backbone: nn.Module, names: tuple[str, ...]) -> list[int]:
    """Channels that the named stages put out, seen on a small picture."""
    widths: dict[str, int] = {}
    handles = [
        getattr(backbone, name).register_forward_hook(
            lambda _module, _inputs, output, name=name: widths.__setitem__(name, output.size(1))
        )
        for name in names
    ]
    training = backbone.training
    backbone.eval()  # a pass in training mode would move the batch-norm statistics
    backbone(torch.zeros(1, 3, 64, 64))
    backbone.train(training)
    for handle in handles:
        handle.remove()
    return [widths[name] for name in names]
