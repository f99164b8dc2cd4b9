"""Training faces as a run's network gets them: sampled, augmented, with landmarks moved along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MessageHub
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from torch import Tensor

from mmfer.engine.hooks.reseed import ReseedHook
from mmfer.models.losses import LandmarkHeatmapLoss
from mmfer.models.preprocessing.data_preprocessor import FaceDataPreprocessor


@dataclass(frozen=True)
class SeenFace:
    """A face as the network gets it.

    Args:
        picture: RGB uint8 [H, W, 3], not normalised any more.
        label: Observed class id.
        clean: Class id before noise was added, -1 where unknown.
        row: In the training set.
        points: (x, y) in pixels of the picture, [68, 2]; None where the face has no landmarks.
        heatmap: What LA-Net's landmark branch is to draw, the highest of its maps at each pixel, [H, W] in [0, 1];
            None where the config has no such loss or the face no landmarks.
    """

    picture: np.ndarray
    label: int
    clean: int
    row: int
    points: np.ndarray | None
    heatmap: np.ndarray | None


@dataclass(frozen=True)
class Seen:
    """What `training_faces` returns: faces, and the names of the classes."""

    faces: list[SeenFace]
    classes: tuple[str, ...]


@torch.no_grad()
def training_faces(cfg: Config, faces: int = 32, epoch: int = 0, seed: int | None = None) -> Seen:
    """The first faces of an epoch, just as a run of one process on this kind of device gets them.

    What a batch holds is the sampler's, a function of seed and epoch; what becomes of it that of the augmentation, a
    function of seed, epoch and iteration (`ReseedHook`). Both are the config's own parts.

    Args:
        cfg: The config of the run.
        faces: How many.
        epoch: Counted from 0.
        seed: Defaults to None: the config's own, or 0.

    Raises:
        ValueError: The config augments with something else than `mmfer.FaceDataPreprocessor`, or has no training set.
    """
    settings = cfg.get('data_preprocessor') or (cfg.get('model') or {}).get('data_preprocessor') or {}
    if cfg.get('train_dataloader') is None:
        raise ValueError(f'{cfg.filename} has no train_dataloader: there is nothing to train on')
    seed = (cfg.get('randomness') or {}).get('seed') or 0 if seed is None else seed
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpretrain'):
        prepare = MODELS.build({'type': 'ClsDataPreprocessor', **settings})
        if not isinstance(prepare, FaceDataPreprocessor):
            raise ValueError(
                f'{cfg.filename} has a {type(prepare).__name__}, browse shows what a mmfer.FaceDataPreprocessor makes'
            )
        prepare.to(get_device())
        loss, cells = _heatmaps_of(cfg, prepare.size)
        # Samplers that follow a schedule ask for its length.
        MessageHub.get_instance('browse').update_info('max_epochs', cfg.train_cfg.get('max_epochs'))
        loader = Runner.build_dataloader({**cfg.train_dataloader, 'num_workers': 0, 'persistent_workers': False}, seed)
    if hasattr(loader.sampler, 'set_epoch'):
        loader.sampler.set_epoch(epoch)
    seen: list[SeenFace] = []
    for iteration, data in enumerate(loader):
        ReseedHook().before_train_iter(SimpleNamespace(seed=seed, epoch=epoch), iteration)
        seen += _faces(prepare(data, training=True), prepare, loss, cells)
        if len(seen) >= faces:
            break
    return Seen(seen[:faces], tuple(loader.dataset.metainfo['classes']))


def _faces(
    data: dict[str, Any], prepare: FaceDataPreprocessor, loss: LandmarkHeatmapLoss | None, cells: tuple[int, int]
) -> list[SeenFace]:
    batch = data['data_samples']
    pictures = ((data['inputs'] * prepare.std + prepare.mean).clamp(0, 1) * 255).round().byte()
    pictures = pictures.permute(0, 2, 3, 1).numpy(force=True)
    clean = [-1] * len(batch) if batch.clean_label is None else batch.clean_label.tolist()
    valid = [False] * len(batch) if batch.landmarks is None else batch.landmark_valid.tolist()
    heat = None if loss is None or batch.landmarks is None else _target(batch.landmarks, loss, prepare.size, cells)
    return [
        SeenFace(
            pictures[i],
            int(batch.label[i]),
            clean[i],
            int(batch.sample_idx[i]),
            batch.landmarks[i].numpy(force=True) if valid[i] else None,
            heat[i].numpy(force=True) if valid[i] and heat is not None else None,
        )
        for i in range(len(batch))
    ]


def _target(landmarks: Tensor, loss: LandmarkHeatmapLoss, size: Sequence[int], cells: tuple[int, int]) -> Tensor:
    """The loss's own target, enlarged to the picture."""
    maps = loss.to(landmarks.device).target(landmarks, size, cells).amax(1, keepdim=True)
    return F.interpolate(maps, size, mode='bilinear', align_corners=False)[:, 0]


def _heatmaps_of(cfg: Config, size: Sequence[int]) -> tuple[LandmarkHeatmapLoss | None, tuple[int, int]]:
    """The config's heatmap loss, if any, and (H, W) of its maps: those of the stage that the landmark branch taps."""
    for method in ((cfg.get('model') or {}).get('supervision') or {}).values():
        losses = [part for part in ((method or {}).get('losses') or {}).values() if part is not None]
        settings = next((dict(part) for part in losses if part['type'] == 'mmfer.LandmarkHeatmapLoss'), None)
        if settings is None:
            continue
        settings.pop('inputs', None)
        branch = next(
            part for part in method['branches'].values() if part is not None and part['type'] == 'mmfer.LandmarkBranch'
        )
        path = method['taps'][branch['inputs']['x']]
        return MODELS.build(settings), _map_size(cfg.model.backbone, path.removeprefix('backbone.'), size)
    return None, size


def _map_size(backbone: Mapping[str, Any], stage: str, size: tuple[int, int]) -> tuple[int, int]:
    network = MODELS.build({**backbone, 'init_cfg': None})
    network.eval()  # mmpretrain's returns nothing
    shapes: list[tuple[int, int]] = []
    network.get_submodule(stage).register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[-2:])))
    network(torch.zeros(1, 3, *size))
    return shapes[0]
