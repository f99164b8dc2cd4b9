"""The landmark branch of LA-Net: a second trunk that sees where the face parts are."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from mmengine.model.weight_init import initialize
from torch import Tensor, nn

from mmfer.models.probing.feature_maps import Feature, Layout
from mmfer.models.probing.replay import Calls, cloned
from mmfer.models.supervision.part import Part, Surroundings
from mmfer.models.supervision.remaking import remade_maps
from mmfer.models.supervision.trunk import NoTrunk, Trunk, find_trunk, workable_stages
from mmfer.registry import MODELS
from mmfer.structures.ranges import check_range

_CHEAP = 576
"""Products a value up to which a convolution's map is made again in the backward pass."""


@MODELS.register_module()
class LandmarkBranch(Part):
    """Landmark heatmaps and a landmark embedding from a trunk of its own behind the shared first stages.

    The later stages are copied from the backbone; a feature pyramid (bias-free 1x1 laterals, x2 bilinear upsampling,
    addition) carries them to the shared stage's resolution, where a bias-free 1x1 convolution gives the heatmaps. See
    `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.1. Two identities make it cheap:

    - Upsampling by 2 keeps the mean, so the pooled pyramid is the sum of the laterals of the pooled stages. The
      embedding is defined as that sum, for every input size, and needs no pyramid.
    - 1x1 convolutions commute with upsampling, so the heatmap layer is folded into the laterals and the pyramid runs
      with one channel a landmark.

    Which modules the backbone runs behind the shared stage, how it calls them and how wide their maps are is seen in a
    trial run, so that any backbone goes whose stages are modules.

    Args:
        num_landmarks: L.
        shared_stage: Backbone module whose output both trunks share, a dotted path. Defaults to None: the one that the
            tap taps which feeds this branch.
        own_stages: Backbone modules behind it whose outputs the branch makes anew, by dotted path; it copies what leads
            to them. Defaults to None: the last of each size of map.
        channels: Of the pyramid and the embedding; by default those of the shared stage.

    Shapes:
        x: [N, C, H, W] or whatever the shared stage puts out.
        publishes: heatmaps [N, L, H, W], landmark_embedding [N, channels].
    """

    publishes = ('heatmaps', 'landmark_embedding')
    as_given = ('x',)

    def __init__(
        self,
        num_landmarks: int = 19,
        shared_stage: str | None = None,
        own_stages: tuple[str, ...] | None = None,
        channels: int | None = None,
    ):
        super().__init__()
        check_range('num_landmarks', num_landmarks, 1, whole=True)
        check_range('channels', 1 if channels is None else channels, 1, whole=True)
        self.num_landmarks, self.shared_stage = num_landmarks, shared_stage
        self.own_stages = None if own_stages is None else tuple(own_stages)
        self.channels = channels
        self.stages = nn.ModuleList()
        self.laterals = nn.ModuleList()
        self.layouts: list[Layout] = []

    def setup(self, model: nn.Module, supervision: Surroundings) -> None:
        """Copies what the backbone runs behind the shared stage, and sizes the laterals.

        Raises:
            ValueError: If the backbone has no such stages, or they cannot be copied.
        """
        self.shared_stage = self._tapped_stage(model, supervision)
        trunk = self._find_trunk(model)
        self.stages.extend(trunk.modules)
        self.sources, self.layouts, self._clones = trunk.paths, trunk.layouts, trunk.overwrites
        self.channels = self.channels or trunk.widths[0]
        self.laterals.extend(nn.Conv2d(width, self.channels, 1, bias=False) for width in trunk.widths)
        self.to_heatmaps = nn.Conv2d(self.channels, self.num_landmarks, 1, bias=False)

    def _tapped_stage(self, model: nn.Module, supervision: Surroundings) -> str:
        """The shared stage's path in the backbone."""
        tap = self.inputs.get('x', 'x')
        path = supervision.taps.paths.get(tap, '')
        if not path:
            return self.shared_stage or 'layer1'
        if not path.startswith('backbone.'):
            raise ValueError(
                f'LandmarkBranch shares a stage of the backbone, but its tap "{tap}" is {path}: tap one of backbone.'
                f'{", backbone.".join(workable_stages(model))}'
            )
        path = path.removeprefix('backbone.')
        if self.shared_stage not in (None, path):
            raise ValueError(
                f'LandmarkBranch shares {self.shared_stage}, but is fed by the tap "{tap}" of backbone.{path}: '
                'leave shared_stage out'
            )
        return path

    def _find_trunk(self, model: nn.Module) -> Trunk:
        backbone, shared = model.backbone, self.shared_stage
        modules = dict(backbone.named_modules())
        missing = [name for name in (shared, *(self.own_stages or ())) if name not in modules]
        kind = type(backbone).__name__
        try:
            if not missing:
                return find_trunk(model, shared, self.own_stages)
            reason = f'{kind} has no "{missing[0]}"; set shared_stage and own_stages'
        except NoTrunk as error:
            reason = f'in {kind} {error}'
        own = ', '.join(self.own_stages) if self.own_stages else 'the later stages'
        others = workable_stages(model)
        cure = (
            f': share one of backbone.{", backbone.".join(others)} and leave own_stages out'
            if others
            else (': set own_stages=() and share the last stage, whose map the branch then takes as it is')
        )
        raise ValueError(f'LandmarkBranch copies {own} behind {shared}, but {reason}{cure}')

    def width_of(self, name: str) -> int:
        """Channels of its maps and of its embedding."""
        widths = {'heatmaps': self.num_landmarks, 'landmark_embedding': self.channels}
        return widths[name] if name in widths else super().width_of(name)

    def initialize(self, model: nn.Module, pretrained: bool) -> None:
        """Starts from the backbone's pretrained stages, or from a draw of its own."""
        init_cfg = getattr(model.backbone, 'init_cfg', None)
        cfgs = init_cfg if isinstance(init_cfg, list) else [init_cfg or {}]
        # The other way to pretrained weights: mmpretrain's own.
        pretrained = pretrained or any(cfg.get('type') == 'Pretrained' for cfg in cfgs)
        for paths, stage in zip(self.sources, self.stages, strict=True):
            for path, module in zip(paths, stage.steps if isinstance(stage, Calls) else [stage], strict=True):
                if pretrained:
                    module.load_state_dict(model.backbone.get_submodule(path).state_dict())
                elif init_cfg:
                    initialize(module, init_cfg)

    def embed(
        self, x: Any, per_stage: Callable[[Tensor, nn.Module], Any] = lambda level, lateral: None
    ) -> tuple[Tensor, list[Any]]:
        """The embedding, and what a function of each stage's map and lateral gives, the shared stage first.

        Args:
            x: The shared stage's output, as a tap gave it or itself.
            per_stage: The function.
        """
        feature = x if isinstance(x, Feature) else Feature(x)
        x = feature.output
        embedding, results = 0, []
        stages = zip((nn.Identity(), *self.stages), self.laterals, self.layouts, (False, *self._clones), strict=True)
        for stage, lateral, layout, clones in stages:
            with remade_maps(stage, share=0, products=_CHEAP):
                x = stage(cloned(x) if clones else x)
            level = Feature(x, feature.image_size, layout).as_map()
            # Right behind the stage, so that the backward pass holds the maps' gradients of one stage at a time.
            embedding = embedding + F.linear(level.mean((2, 3)), lateral.weight.flatten(1))
            results.append(per_stage(level, lateral))
        return embedding, results

    def forward(self, x: Any) -> dict[str, Tensor]:
        """Publishes heatmaps and embedding."""
        head = self.to_heatmaps.weight.flatten(1)

        def fold(level: Tensor, lateral: nn.Module) -> Tensor:
            return F.conv2d(level, (head @ lateral.weight.flatten(1))[..., None, None])

        embedding, levels = self.embed(x, fold)
        heatmaps = levels[-1]
        for level in reversed(levels[:-1]):
            heatmaps = level + F.interpolate(heatmaps, size=level.shape[-2:], mode='bilinear', align_corners=False)
        return {'heatmaps': heatmaps, 'landmark_embedding': embedding}
