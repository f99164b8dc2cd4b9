"""What a run believes of every label of its training set, and which faces it therefore holds to be mislabelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmfer.apis.analysis.doubts import clean_labels
from mmfer.apis.analysis.inspection import Run
from mmfer.engine.hooks.noise_report import TRUST, auroc

Track = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps batches and their number, for a progress bar."""


@dataclass(frozen=True)
class Beliefs:
    """What `beliefs_of` found, by row of the training set.

    Args:
        classes: K names.
        names: Of the images [N].
        observed: Labels that the run was given [N].
        believed: Labels that it holds to be right [N].
        trust: How much the observed label is trusted, the more the higher [N].
        probs: How likely it holds each class to be [N, K].
        clean: Labels before noise was added, -1 where unknown [N].
        sources: Where `believed`, `trust` and `probs` come from: a column of the bank, or 'prediction'.
        seen: Of which faces that is known [N]: not of those that training has never drawn, whose memory is where it
            started.
    """

    classes: tuple[str, ...]
    names: list[str]
    observed: np.ndarray
    believed: np.ndarray
    trust: np.ndarray
    probs: np.ndarray
    clean: np.ndarray
    sources: dict[str, str]
    seen: np.ndarray

    @property
    def worst(self) -> np.ndarray:
        """The rows that were seen: first those whose observed label is held to be wrong; then the least trusted."""
        order = np.lexsort((self.trust, self.believed == self.observed))
        return order[self.seen[order]]

    @property
    def doubted(self) -> np.ndarray:
        """Rows whose observed label is held to be wrong, the least trusted first."""
        return self.worst[: ((self.believed != self.observed) & self.seen).sum()]


def beliefs_of(run: Run, track: Track = lambda batches, _total: batches) -> Beliefs:
    """Reads what a run remembers, and where it remembers nothing asks the network.

    The believed label is the peak of the bank's `label_distribution` (LA-Net), else its `relabelled` (SCN), else what
    the network predicts. Trust is the bank's `importance` (SCN) or `reliability` (SNA), else the believed probability
    of the observed label. Probabilities are the `label_distribution`, else the prediction.

    A network has learnt the labels of the faces that it was trained on, wrong ones too, and doubts few of them.

    Args:
        run: What `read_run` returns.
        track: Wraps the batches and their number.
    """
    bank, dataset = run.bank, run.dataset
    remembered = 'label_distribution' in bank
    probs = bank['label_distribution'].numpy() if remembered else predict(run, track)
    source = 'label_distribution' if remembered else 'prediction'
    observed = np.asarray(dataset.get_gt_labels())
    sources = dict(believed=source, trust=source, probs=source)
    believed, trust = probs.argmax(1), probs[np.arange(len(probs)), observed]
    if not remembered and 'relabelled' in bank:
        believed, sources['believed'] = bank['relabelled'].numpy(), 'relabelled'
    for name in (name for name in TRUST if name in bank):
        trust, sources['trust'] = bank[name].numpy(), name
        break
    rows = range(len(dataset))
    columns = getattr(dataset, 'columns', None) or {}
    names = columns['name'].tolist() if 'name' in columns else [dataset.get_data_info(i)['img_path'] for i in rows]
    seen = np.ones(len(observed), bool) if set(sources.values()) == {'prediction'} else run.seen
    clean, classes = clean_labels(run, rows), tuple(dataset.metainfo['classes'])
    return Beliefs(classes, names, observed, believed, trust, probs, clean, sources, seen)


@torch.inference_mode()
def predict(run: Run, track: Track = lambda batches, _total: batches, batch_size: int = 64) -> np.ndarray:
    """What the deployed network predicts for the training set, without augmentation; float32 [N, K]."""
    total = len(run.dataset)
    batches = track(run.batches(range(total), batch_size), -(-total // batch_size))
    found = [torch.stack([sample.pred_score for sample in run.model(inputs, mode='predict')]) for inputs, _ in batches]
    return torch.cat(found).float().cpu().numpy()


@dataclass(frozen=True)
class Score:
    """How right the doubts about some faces are; counts of faces.

    Args:
        doubted: Whose label is held to be wrong.
        wrong: Whose label is wrong.
        found: Both.
        mended: Whose wrong label would be replaced by the clean one.
    """

    doubted: int
    wrong: int
    found: int
    mended: int

    def __str__(self) -> str:
        precision, recall, mended, of_all = (
            f'{100 * part / whole:5.1f} %' if whole else '      -'
            for part, whole in (
                (self.found, self.doubted),
                (self.found, self.wrong),
                (self.mended, self.found),
                (self.mended, self.wrong),
            )
        )
        return (
            f'detection precision {precision}  detection recall {recall}  '
            f'right label for {mended} of those found, {of_all} of all wrong'
        )


def score(beliefs: Beliefs, label: int | None = None) -> Score:
    """Holds doubts against the truth, over the faces that were seen and whose clean label is known.

    Args:
        beliefs: What `beliefs_of` returns.
        label: Count only the faces observed as this class. Defaults to None: all.
    """
    chosen = (beliefs.clean >= 0) & beliefs.seen
    if label is not None:
        chosen &= beliefs.observed == label
    observed, believed, clean = beliefs.observed[chosen], beliefs.believed[chosen], beliefs.clean[chosen]
    doubted, wrong = believed != observed, clean != observed
    counts = (doubted, wrong, doubted & wrong, wrong & (believed == clean))
    return Score(*(int(faces.sum()) for faces in counts))


def separation(beliefs: Beliefs) -> float | None:
    """Share of pairs in which the rightly labelled face is trusted more; None where faces of one kind are missing."""
    known = (beliefs.clean >= 0) & beliefs.seen
    trust, right = torch.as_tensor(beliefs.trust[known]), torch.as_tensor((beliefs.observed == beliefs.clean)[known])
    return None if right.all() or not right.any() else auroc(trust[right], trust[~right])
