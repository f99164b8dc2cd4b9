"""Whether the steps of a pipeline take landmarks along."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmfer.datasets.columns import Faces
from mmfer.datasets.transforms.drawn_faces import Results, seen, with_face
from mmfer.datasets.transforms.load_face import LoadFace
from mmfer.datasets.transforms.pack_face import PackFace
from mmfer.structures.landmark_probe import Change, measure, own_randomness

_MOST_ROUNDS, _PIXELS = 6, 300_000
"""Of four faces each, and as many with a step that always does something; of large pictures fewer."""
_LONGEST = 1024
"""Side of the pictures to measure with."""


def check_pipeline(dataset: Faces) -> None:
    """Every step moves landmarks as it moves the picture; measured with dots on pictures of the first face's size.

    `LoadFace` moves landmarks along with the picture. Most other steps know nothing of them, and only those that leave
    points where they are, such as those that change colours, may be used. A dataset without landmarks is not looked at,
    and one whose pipeline is `LoadFace` and `PackFace` neither. Landmarks that a format brings along cannot be left
    out; where faces are only tested nobody reads them, and a warning is enough.

    Args:
        dataset: With its columns read.

    Raises:
        ValueError: A step moves the picture without its landmarks, or the other way round.
    """
    steps = dataset.pipeline.transforms
    valid = dataset.columns.get('landmark_valid', np.empty(0, dtype=bool))
    if not valid.any() or all(type(step) in (LoadFace, PackFace) for step in steps):
        return
    where = f'{type(dataset).__name__} {dataset.split}'
    results: Results | None = dataset.get_data_info(int(valid.argmax()))
    with own_randomness(), TemporaryDirectory() as folder:
        for step in map(copied, steps):
            if results is None:
                break
            if type(step) not in (LoadFace, PackFace):
                wrong = _fault_of(step, results, where, folder)
                if wrong and not (dataset.test_mode and dataset.landmarks is None):
                    raise ValueError(wrong)
                if wrong:
                    print_log(wrong, logger='current', level=logging.WARNING)
            results = _after(step, results)


def _after(step: Callable[..., Any], results: Results) -> Results | None:
    """What a step makes of a face; None where it fails, which the loader will say."""
    try:
        return step(copy.deepcopy(results))
    except Exception:  # of whatever kind: a step may be anybody's
        return None


def _fault_of(step: Callable[..., Any], results: Results, where: str, folder: str) -> str | None:
    """What a step does wrong, as a sentence; warns where nothing can be told."""
    reads = 'img' not in results and 'inputs' not in results
    why = 'nothing of a face is left, or it draws random numbers of its own'
    try:
        before = results if not reads else LoadFace().transform(copy.deepcopy(results))
        shape = np.array(_face(before, 'it gets no picture with landmarks')[0].shape[1:])
        height, width = (shape * min(1, _LONGEST / shape.max())).astype(int).tolist()
        rounds = max(1, min(_MOST_ROUNDS, _PIXELS // (height * width)))
        found = 0
        for each in (step, _always(step)):
            measured = measure(_change(each, results, folder), (height, width), rounds)
            if measured.fault:
                return _sentence(step, measured.fault, measured.distance, where, reads)
            found += measured.found
        if found:
            return None
    except _NoFace as error:
        why = str(error)
    print_log(
        f'{where}: whether {_name(step)} moves landmarks as it moves pictures could not be measured: {why}; see what '
        'the pipeline does with python tools/dataset_tools/browse.py CONFIG',
        logger='current',
        level=logging.WARNING,
    )
    return None


def _sentence(step: Callable[..., Any], fault: str, distance: float, where: str, reads: bool) -> str:
    far = f' (by up to {100 * distance:.0f} % of its side)' if distance > 0.01 else ''
    cure = (
        'take it out, and have both changed on the device, by classes of kornia.augmentation: '
        'data_preprocessor=dict(augment=[dict(type="RandomHorizontalFlip")]); another size is read by '
        'dict(type="mmfer.LoadFace", size=100)'
    )
    cure = 'read faces with dict(type="mmfer.LoadFace", size=100), which moves both' if reads else cure
    return f'{where}: {_name(step)} of the pipeline {fault}{far}; {cure}'


class _NoFace(Exception):
    """A step fails on the drawn face, or gives none."""


def _change(step: Callable[..., Any], results: Results, folder: str) -> Change:
    """A step as what :func:`measure` takes."""

    def one(picture: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        try:
            after = step(with_face(results, picture, points, folder))
        except Exception as error:  # of whatever kind: a step may be anybody's
            raise _NoFace(f'it fails on a drawn face ({type(error).__name__}: {error})') from error
        image, landmarks = _face(after, 'it gives no picture with landmarks')
        return torch.as_tensor(image), torch.as_tensor(landmarks)

    def change(pictures: Tensor, points: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        images, landmarks = zip(*map(one, pictures, points), strict=True)
        return images, landmarks

    return change


def _face(results: Results | None, otherwise: str) -> tuple[np.ndarray, np.ndarray]:
    found = seen(results)
    if found is None:
        raise _NoFace(otherwise)
    return found


def _always(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step as it is where it does something; what is done to one face of a hundred would hardly be seen."""
    step = copied(step)
    inside = getattr(step, 'transforms', None)
    inside = getattr(inside, 'transforms', inside)  # a list, or a Compose of one
    if isinstance(inside, list):
        inside[:] = map(_always, inside)
    for name in ('p', 'prob', 'probability', 'erase_prob'):
        value = getattr(step, name, None)
        if isinstance(value, float) and 0 < value < 1:
            setattr(step, name, 1.0)
    return step


def copied(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step with a state of its own, which measuring would change; itself where it cannot be copied."""
    try:
        return copy.deepcopy(step)
    except Exception:  # of whatever kind: a step may be anybody's
        return step


def _name(step: Callable[..., Any]) -> str:
    return type(step).__name__
