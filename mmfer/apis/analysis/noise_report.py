"""What a run believes to be mislabelled, as tables and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmfer.apis.analysis.beliefs import Beliefs
from mmfer.apis.analysis.doubts import frames
from mmfer.apis.analysis.inspection import pictures_of
from mmfer.datasets.reading.csv_cells import written_csv
from mmfer.structures.whole_files import written_whole
from mmfer.visualization import draw_contact_sheet, draw_label_noise


def write_doubts(beliefs: Beliefs, path: Path) -> Path:
    """Writes the faces whose label is held to be wrong as csv, the least trusted first.

    Columns: `name`, `sample_idx`, the classes `observed` and `believed`, `trust`, where belief and trust come from, and
    `clean`, empty where unknown.
    """
    rows = [('name', 'sample_idx', 'observed', 'believed', 'trust', 'believed_from', 'trust_from', 'clean')]
    for i in beliefs.doubted.tolist():
        observed, believed = (beliefs.classes[labels[i]] for labels in (beliefs.observed, beliefs.believed))
        clean = beliefs.classes[beliefs.clean[i]] if beliefs.clean[i] >= 0 else ''
        rows.append(
            (
                beliefs.names[i],
                i,
                observed,
                believed,
                f'{beliefs.trust[i]:.6f}',
                beliefs.sources['believed'],
                beliefs.sources['trust'],
                clean,
            )
        )
    with written_csv(path) as writer:
        writer.writerows(rows)
    return path


def write_cleanlab(beliefs: Beliefs, path: Path) -> Path:
    """Writes all faces that were seen as npz without pickles, as cleanlab takes them.

    Arrays: `labels` int64 [N] and `pred_probs` float32 [N, K], rows of which sum to 1; beside them `names`, `classes`
    and `trust` [N].
    """
    seen = beliefs.seen
    with written_whole(path, 'wb') as stream:
        np.savez_compressed(
            stream,
            labels=beliefs.observed[seen],
            pred_probs=beliefs.probs[seen],
            trust=beliefs.trust[seen],
            names=np.array(beliefs.names, dtype=str)[seen],
            classes=np.array(beliefs.classes, dtype=str),
        )
    return path


def draw_matrix(beliefs: Beliefs, path: Path) -> Path:
    """Draws observed against believed labels, and against the clean ones where they are known."""
    k = len(beliefs.classes)

    def count(other: np.ndarray) -> np.ndarray:
        known = (other >= 0) & beliefs.seen
        return np.bincount(k * beliefs.observed[known] + other[known], minlength=k * k).reshape(k, k)

    panels = {f'believed ({beliefs.sources["believed"]})': count(beliefs.believed)}
    if (beliefs.clean >= 0).any():
        panels['clean'] = count(beliefs.clean)
    title = (
        f'{len(beliefs.doubted):,} of {beliefs.seen.sum():,} labels believed to be wrong; rows: observed label, '
        '% of its faces, and how many'
    )
    return draw_label_noise(panels, beliefs.classes, path, title)


def draw_worst(dataset: Any, beliefs: Beliefs, path: Path, faces: int = 32) -> Path:
    """Draws the worst faces: doubted before others, least trusted first; framed by whether the belief is the truth.

    Args:
        dataset: The training set, which has the pictures.
        beliefs: What is believed of its faces.
        path: The PNG to write.
        faces: How many at most.

    Raises:
        ValueError: No face is asked for.
    """
    if faces < 1:
        raise ValueError(f'the number of faces to show must be at least 1, got {faces}')
    shown, classes = beliefs.worst[:faces], beliefs.classes
    captions = []
    for face in shown.tolist():
        labels = [classes[labels[face]] for labels in (beliefs.observed, beliefs.believed)]
        clean = f'  clean: {classes[beliefs.clean[face]]}' if beliefs.clean[face] >= 0 else ''
        captions.append(f'{" → ".join(dict.fromkeys(labels))}\n{beliefs.trust[face]:.3f}{clean}')
    title = (
        f'observed → believed ({beliefs.sources["believed"]}), least trusted ({beliefs.sources["trust"]}) first; '
        f'{len(beliefs.doubted):,} of {beliefs.seen.sum():,} doubted'
    )
    if (beliefs.clean[shown] >= 0).any():
        title += '; green: the belief is right'
    return draw_contact_sheet(
        pictures_of(dataset, shown),
        captions,
        path,
        title=title,
        colours=frames(beliefs.believed[shown], beliefs.clean[shown]),
    )
