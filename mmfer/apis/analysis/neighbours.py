"""Which faces a run holds to be alike, and what it has come to believe about their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfer.apis.analysis.inspection import Run
from mmfer.models.classifiers import FERClassifier
from mmfer.models.probing.embedding import embedding_of
from mmfer.models.supervision.taps import Taps
from mmfer.structures import FaceBatch

SAMPLE = 2000
"""Faces whose neighbours are counted at most; a quarter of a million would take hours."""


@dataclass(frozen=True)
class Neighbours:
    """What `find_neighbours` found, rows of the training set.

    Args:
        faces: The faces asked for [n].
        spaces: By name of the space, each face's nearest others, the nearest first [n, k].
        distribution: Of labels, for each face [n, K].
        remembered: Of which faces the distribution is the bank's `label_distribution` [n]; of the others, such as those
            that training has never drawn, it is the prediction.
        agreement: By name of the space, share of nearest others that are of the face's own class, over all faces that
            were searched, or `SAMPLE` of them: the clean class, and of faces where it is known, or, where it is known
            of none, the observed one.
        chance: The same share among faces drawn at random.
    """

    faces: np.ndarray
    spaces: dict[str, np.ndarray]
    distribution: np.ndarray
    remembered: np.ndarray
    agreement: dict[str, float]
    chance: float


def choose_faces(run: Run, count: int, seed: int = 0) -> list[int]:
    """Rows of the training set, drawn without repetition, in order."""
    if count < 1:
        raise ValueError(f'the number of faces to show must be at least 1, got {count}')
    total = len(run.dataset)
    return sorted(np.random.default_rng(seed).choice(total, min(count, total), replace=False).tolist())


def find_neighbours(
    run: Run,
    faces: Sequence[int],
    count: int = 5,
    among: Sequence[int] | None = None,
    track: Callable[[Iterable[Any], int], Iterable[Any]] = lambda batches, _total: batches,
    batch_size: int = 64,
) -> Neighbours:
    """Finds faces' nearest others by cosine similarity of their embeddings, as LA-Net's label estimation does.

    Training looks for them in the batch, this in the whole training set.

    Args:
        run: What `read_run` returns; where no branch publishes a landmark embedding, that space is left out.
        faces: Rows of the training set.
        count: Neighbours of each.
        among: Rows to look for neighbours in. Defaults to None: all.
        track: Wraps the batches and their number, for a progress bar.
        batch_size: Faces that go through the network together.

    Raises:
        ValueError: The training set has no such face, or the count is below 1.
    """
    if count < 1:
        raise ValueError(f'a face must have at least 1 neighbour, got {count}')
    total = len(run.dataset)
    for face in faces:
        if not 0 <= face < total:
            raise ValueError(f'there is no face {face}: the training set has {total:,}, numbered from 0')
    rows = sorted({*faces, *(range(total) if among is None else among)})
    batches = track(run.batches(rows, batch_size), -(-len(rows) // batch_size))
    values = [embed(run.model, inputs) | {'class': classes_of(batch)} for inputs, batch in batches]
    found = {name: torch.cat([value[name] for value in values]) for name in values[0]}
    place, probs = torch.as_tensor(np.searchsorted(rows, faces)), found.pop('probs')
    observed, clean = found.pop('class').unbind(1)
    classes = clean if (clean >= 0).any() else observed
    known = classes[classes >= 0]
    counted = (classes >= 0).nonzero()[:, 0][:: -(-len(known) // SAMPLE)]
    agreement = {}
    for name, features in found.items():
        others = classes[nearest_rows(features, counted, count)]
        agreement[name] = (others == classes[counted, None])[others >= 0].double().mean().item()
    bank = run.bank.get('label_distribution')
    remembered = torch.zeros(len(faces), dtype=torch.bool) if bank is None else torch.from_numpy(run.seen)[list(faces)]
    estimated = (
        probs[place] if bank is None else torch.where(remembered[:, None], bank[list(faces)].cpu(), probs[place])
    )
    return Neighbours(
        faces=np.asarray(faces),
        spaces={name: np.asarray(rows)[nearest_rows(features, place, count)] for name, features in found.items()},
        distribution=estimated.numpy(),
        remembered=remembered.numpy(),
        agreement=agreement,
        chance=(known.bincount() / len(known)).square().sum().item(),
    )


def classes_of(batch: FaceBatch) -> Tensor:
    """The observed and the clean class of each face [N, 2]; -1 where the clean one is not known."""
    clean = torch.full_like(batch.label, -1) if batch.clean_label is None else batch.clean_label
    return torch.stack([batch.label, clean], 1).cpu()


@torch.inference_mode()
def embed(model: FERClassifier, inputs: Tensor) -> dict[str, Tensor]:
    """A classifier's embeddings of faces, on the CPU.

    Shapes:
        inputs: [N, 3, H, W].
        returns: expression [N, D], landmark [N, V] where a branch publishes one, probs [N, K].
    """
    branch = None if model.supervision is None else model.supervision.publisher('landmark_embedding')
    taps = Taps(model, {} if branch is None else {'shared': f'backbone.{branch.shared_stage}'})
    with taps.record(model, inputs.shape[-2:]) as tapped:
        features = model.extract_feat(inputs)
    values = {'expression': embedding_of(model.head, features)}
    if branch is not None:
        values['landmark'], _ = branch.embed(tapped.given['shared'])
    values['probs'] = model.head(features).softmax(1)
    return {name: value.float().cpu() for name, value in values.items()}


def nearest_rows(features: Tensor, place: Tensor, count: int) -> Tensor:
    """The most similar other rows by cosine, the nearest first.

    Shapes:
        features: [N, D].
        place: [n], rows whose neighbours are sought.
        returns: [n, k], k = min(count, N - 1).
    """
    features = F.normalize(features, dim=1)
    similarity = features[place] @ features.T
    similarity[torch.arange(len(place)), place] = -torch.inf
    return similarity.topk(min(count, len(features) - 1), dim=1).indices
