"""What an audit writes: the ranked table and the corrected labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmfer.apis.audit.verdict import Verdict
from mmfer.apis.data.noise import TrainingLabels
from mmfer.datasets.columns import add_noise
from mmfer.datasets.labels.noise_manifest import NoiseManifest
from mmfer.datasets.reading.csv_cells import written_csv
from mmfer.datasets.reading.files import names_array


def write_ranked(verdict: Verdict, path: Path) -> Path:
    """Writes all faces as csv, the most doubtful first.

    Columns: `rank` from 1, `name`, the classes `observed` and `suggested`, whether the corrected labels have it
    `changed`, each doubt (the more the more doubtful), the `fold`, and the class `clean`, empty where unknown.
    """
    beliefs = verdict.beliefs
    with written_csv(path) as writer:
        writer.writerow(
            ['rank', 'name', 'observed', 'suggested', 'changed', *verdict.doubts, 'fold', 'clean'],
        )
        for rank, i in enumerate(np.argsort(-verdict.doubts['combined'], kind='stable').tolist(), 1):
            observed, suggested = (beliefs.classes[labels[i]] for labels in (beliefs.observed, verdict.suggested))
            changed = 'yes' if beliefs.believed[i] != beliefs.observed[i] else 'no'
            doubts = ['' if np.isnan(doubt[i]) else f'{doubt[i]:.6f}' for doubt in verdict.doubts.values()]
            clean = beliefs.classes[beliefs.clean[i]] if beliefs.clean[i] >= 0 else ''
            writer.writerow([rank, beliefs.names[i], observed, suggested, changed, *doubts, verdict.fold[i], clean])
    return path


def write_corrected(cfg: Config, verdict: Verdict, path: Path, made: dict[str, Any]) -> dict[str, str]:
    """Writes the labels to train with instead as a manifest: of every face the label of its file and the new one.

    Args:
        cfg: The config that was audited.
        verdict: Which labels are changed.
        path: The file.
        made: What is said of it in its header.

    Returns:
        The `label_noise` that trains with it: `manifest` where the config adds noise to labels that are known to be
        right without it, else `corrections`.
    """
    faces = TrainingLabels(cfg)
    noise = cfg.train_dataloader.dataset.get('label_noise')
    labels = faces.labels
    if noise is not None:
        labels = add_noise(dict(name=names_array(faces.names), label=labels), faces.classes, **noise)['label']
    believed = dict(zip(verdict.beliefs.names, verdict.beliefs.believed.tolist(), strict=True))
    # Faces whose pictures cannot be read were not audited: they keep theirs.
    labels = np.array([believed.get(name, label) for name, label in zip(faces.names, labels.tolist(), strict=True)])
    kind = 'manifest' if noise is not None and noise['kind'] != 'corrections' else 'corrections'
    NoiseManifest(faces.names, faces.labels, labels, faces.classes, {'kind': 'corrections', **made}).write(str(path))
    return dict(kind=kind, file=str(path))
