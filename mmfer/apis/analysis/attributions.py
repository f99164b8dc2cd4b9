"""Where a trained network looks: attribution maps of faces beside the landmark prior (PAL)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmfer.apis.analysis.inspection import Run
from mmfer.apis.checkpoints.agreement import check_agreement, trained_classes
from mmfer.apis.checkpoints.checkpoint_file import read_checkpoint
from mmfer.apis.deployment import load_deployed
from mmfer.engine.checks.classes import check_dataset_classes
from mmfer.functional import privileged_attribution
from mmfer.models.classifiers import FERClassifier
from mmfer.models.losses import PrivilegedAttributionLoss
from mmfer.models.supervision.branches import GradientActivation
from mmfer.structures import FaceBatch
from mmfer.visualization import draw_attributions


@dataclass(frozen=True)
class Attributions:
    """What `attribution_maps` returns, all on the CPU.

    Args:
        maps: Mean attribution of all channels [N, H, W].
        prior: What PAL draws it to [N, H, W].
        agreement: Their correlation over the cells [N], from -1 to 1; NaN for a face without landmarks.
    """

    maps: Tensor
    prior: Tensor
    agreement: Tensor


def show_attributions(
    run: Run,
    path: str | Path,
    faces: int = 6,
    before: str | Path | None = None,
    seed: int = 0,
    force: bool = False,
) -> tuple[Path, dict[str, float]]:
    """Draws faces, their prior, and the attribution of one or two checkpoints.

    Args:
        run: What `read_run` returns, of a config with PAL.
        path: The PNG to write.
        faces: How many training faces that have landmarks, every class in turn.
        before: A second checkpoint of the same network, such as the plain one's; drawn to the left of the run's.
        seed: Of the choice of faces.
        force: Whether to warn instead of raising where the config differs from the second checkpoint's.

    Returns:
        The path, and the mean agreement of each checkpoint with the prior.

    Raises:
        ValueError: The run has no PAL, there is no such face, or the second checkpoint does not fit it.
    """
    shown = choose_faces(run, faces, seed)
    results = {'attribution' if before is None else 'after': attribution_maps(run, shown)}
    if before is not None:
        content = read_checkpoint(before)
        after = {key: value.clone() for key, value in run.model.state_dict().items()}
        load_deployed(run.model, content, before)
        check_agreement(run.cfg, content, before, 'train', force)
        check_dataset_classes(run.dataset, trained_classes(content), 'train_dataloader.dataset')
        results = {'before': attribution_maps(run, shown), **results}
        run.model.load_state_dict(after)
    classes = run.dataset.metainfo['classes']
    path = draw_attributions(
        run.pictures(shown, size=128),
        [classes[label] for label in run.dataset.get_gt_labels()[shown]],
        next(iter(results.values())).prior.numpy(),
        {name: result.maps.numpy() for name, result in results.items()},
        {name: result.agreement.tolist() for name, result in results.items()},
        path,
    )
    return path, {name: result.agreement.nanmean().item() for name, result in results.items()}


def choose_faces(run: Run, count: int, seed: int = 0) -> list[int]:
    """Training faces that have landmarks, every class in turn.

    Raises:
        ValueError: There are none, or none is asked for.
    """
    if count < 1:
        raise ValueError(f'the number of faces to show must be at least 1, got {count}')
    known = np.array([run.dataset.get_data_info(i).get('landmark_valid', False) for i in range(len(run.dataset))])
    if not known.any():
        raise ValueError('no training face has landmarks: name their file in train_dataloader.dataset.landmarks')
    order = np.random.default_rng(seed).permutation(np.flatnonzero(known))
    labels = run.dataset.get_gt_labels()[order]
    turn = np.empty(len(order), dtype=np.int64)  # how many faces of the class come before
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return order[np.lexsort((labels, turn))][:count].tolist()


def attribution_maps(run: Run, faces: Sequence[int], batch_size: int = 32) -> Attributions:
    """Attribution and prior of training faces without augmentation, by the run's own parts.

    Raises:
        ValueError: The run has no PAL.
    """
    branch, loss = parts_of(run.model)
    found = [_of_batch(run.model, branch, loss, *batch) for batch in run.batches(faces, batch_size)]
    return Attributions(*map(torch.cat, zip(*found, strict=True)))


def parts_of(model: nn.Module) -> tuple[GradientActivation, PrivilegedAttributionLoss]:
    """PAL's branch and loss.

    Raises:
        ValueError: The model has none.
    """
    supervision = getattr(model, 'supervision', None)
    parts = [] if supervision is None else list(supervision.modules())
    branch = next((part for part in parts if isinstance(part, GradientActivation)), None)
    loss = next((part for part in parts if isinstance(part, PrivilegedAttributionLoss)), None)
    if branch is None or loss is None:
        raise ValueError(
            'the config has no mmfer.GradientActivation with a mmfer.PrivilegedAttributionLoss: give one '
            'with PAL (configs/pal), whose parts have no weights, so that a plain checkpoint fits it too'
        )
    return branch, loss


def _of_batch(
    model: FERClassifier, branch: GradientActivation, loss: PrivilegedAttributionLoss, inputs: Tensor, batch: FaceBatch
) -> tuple[Tensor, Tensor, Tensor]:
    with torch.enable_grad(), model.supervision.taps.record(model, inputs.shape[-2:]) as tapped, branch.around():
        logits = model.head(model.extract_feat(inputs))
        maps = branch(tapped.given[branch.tap], logits, batch.label)['attribution'].detach().mean(1, keepdim=True)
    prior = loss.prior(batch.landmarks, inputs.shape[-2:], maps.shape[-2:])
    best = -maps[0, 0].numel() * prior.std((1, 2), correction=0)  # where the map is the prior
    agreement = privileged_attribution(maps, prior) / best
    return maps[:, 0].cpu(), prior.cpu(), agreement.cpu()
