"""Whether the steps of a pipeline take landmarks along."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.logging import print_log
from PIL import Image
from torch import Tensor

from mmfer.structures.landmark_probe import Change, measure, own_randomness

from .transforms import LoadFace, PackFace

if TYPE_CHECKING:
    from .face_dataset import FaceDataset

Results = dict[str, Any]

_MOST_ROUNDS, _PIXELS = 6, 300_000
"""Of four faces each, and as many with a step that always does something; of large pictures fewer."""
_LONGEST = 1024
"""Side of the pictures to measure with."""


def check_pipeline(dataset: FaceDataset) -> None:
    """Every step moves landmarks as it moves the picture; measured with dots on pictures of the first face's size.

    `LoadFace` moves landmarks along with the picture. Most other steps know nothing of them, and only those that leave
    points where they are, such as those that change colours, may be used. A dataset without landmarks is not looked at,
    and one whose pipeline is `LoadFace` and `PackFace` neither.

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
    with own_randomness():
        info = dataset.get_data_info(int(valid.argmax()))
        results = _after(steps[0], info)
        if not isinstance(steps[0], LoadFace):
            _require_stored(steps[0], results, info, where)
        for step in steps[1:]:
            if results is None:
                break
            if type(step) not in (LoadFace, PackFace):
                _require_together(step, results, where)
            results = _after(step, results)


def _after(step: Callable, results: Results) -> Results | None:
    """What a step makes of a face; None where it fails, which the loader will say."""
    try:
        return step(copy.deepcopy(results))
    except Exception:  # of whatever kind: a step may be anybody's
        return None


def _require_stored(step: Callable, results: Results | None, info: Results, where: str) -> None:
    """A first step that reads another size than is stored must have moved the landmarks."""
    seen = _seen(results)
    if seen is None:
        return
    read, stored = seen[0].shape[1:], LoadFace().transform(copy.deepcopy(info))['img'].shape[:2]
    if read != stored and np.array_equal(seen[1], info['landmarks']):
        raise ValueError(
            f'{where}: the pipeline begins with {_name(step)}, which makes {read[0]} x {read[1]} pixels of a face of '
            f'{stored[0]} x {stored[1]} and leaves its landmarks where they were; begin it with '
            f'dict(type="mmfer.LoadFace", size={read[0] if read[0] == read[1] else tuple(read)})'
        )


def _require_together(step: Callable, results: Results, where: str) -> None:
    seen, why = _seen(results), 'nothing of a face is left, or it draws random numbers of its own'
    if seen is not None:
        shape = np.array(seen[0].shape[1:])
        height, width = (shape * min(1, _LONGEST / shape.max())).astype(int).tolist()
        rounds = max(1, min(_MOST_ROUNDS, _PIXELS // (height * width)))
        found = 0
        try:
            for each in (step, _always(step)):
                measured = measure(_change(each, results), (height, width), rounds)
                if measured.fault:
                    raise ValueError(_sentence(step, measured.fault, measured.distance, where))
                found += measured.found
        except _NoFace as error:
            why = str(error)
        if found:
            return
    print_log(
        f'{where}: whether {_name(step)} moves landmarks as it moves pictures could not be measured: {why}; see what '
        'the pipeline does with python tools/dataset_tools/browse.py CONFIG',
        logger='current',
        level=logging.WARNING,
    )


def _sentence(step: Callable, fault: str, distance: float, where: str) -> str:
    far = f' (by up to {100 * distance:.0f} % of its side)' if distance > 0.01 else ''
    return (
        f'{where}: {_name(step)} of the pipeline {fault}{far}; take it out, and have both changed on the device, by '
        'classes of kornia.augmentation: data_preprocessor=dict(augment=[dict(type="RandomHorizontalFlip")]); another '
        'size is read by dict(type="mmfer.LoadFace", size=100)'
    )


class _NoFace(Exception):
    """A step fails on the drawn face, or gives none."""


def _change(step: Callable, results: Results) -> Change:
    """A step as what :func:`measure` takes."""

    def one(picture: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        try:
            seen = _seen(step(_with(results, picture, points)))
        except Exception as error:  # of whatever kind: a step may be anybody's
            raise _NoFace(f'it fails on a drawn face ({type(error).__name__}: {error})') from error
        if seen is None:
            raise _NoFace('it gives no picture with landmarks')
        return torch.as_tensor(seen[0]), torch.as_tensor(seen[1])

    def change(pictures: Tensor, points: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        images, landmarks = zip(*map(one, pictures, points), strict=True)
        return images, landmarks

    return change


def _seen(results: Results | None) -> tuple[np.ndarray, np.ndarray] | None:
    """The picture as [C, H, W], bytes as shares of 255, and the landmarks; before and after packing."""
    if not results:
        return None
    image, landmarks = results.get('img'), results.get('landmarks')
    if 'inputs' in results:
        image, landmarks = results['inputs'], results['data_samples'].get('landmarks')
    if landmarks is None or not isinstance(image, np.ndarray | Tensor | Image.Image):
        return None
    first = isinstance(image, Tensor)
    image = np.asarray(image)
    if image.ndim != 3:
        image = image[None] if first else image[..., None]
    image = image if first else image.transpose(2, 0, 1)
    return np.ascontiguousarray(image / (255.0 if image.dtype == np.uint8 else 1.0), np.float32), np.array(landmarks)


def _with(results: Results, picture: Tensor, points: Tensor) -> Results:
    """The face that a step gets, with another picture [3, H, W] in [0, 1] and other landmarks."""
    results = copy.deepcopy(results)
    like = results.get('inputs', results.get('img'))
    image: Any = picture if isinstance(like, Tensor) else picture.permute(1, 2, 0).numpy()
    if isinstance(like, Image.Image):
        image = Image.fromarray((255 * image).round().astype(np.uint8))
    elif str(like.dtype).endswith('uint8'):
        image = (255 * image).round()
        image = image.byte() if isinstance(image, Tensor) else image.astype(np.uint8)
    if 'inputs' in results:
        results['inputs'], results['data_samples'].landmarks = image, points
        return results
    shape = tuple(picture.shape[1:])
    return {**results, 'img': image, 'landmarks': points.numpy(), 'img_shape': shape, 'ori_shape': shape}


def _always(step: Callable) -> Callable:
    """The step as it is where it does something; what is done to one face of a hundred would hardly be seen."""
    step = copy.deepcopy(step)
    inside = getattr(step, 'transforms', None)
    if isinstance(getattr(inside, 'transforms', inside), list):  # a list, or a Compose of one
        inside = getattr(inside, 'transforms', inside)
        inside[:] = map(_always, inside)
    for name in ('p', 'prob', 'probability', 'erase_prob'):
        value = getattr(step, name, None)
        if isinstance(value, float) and 0 < value < 1:
            setattr(step, name, 1.0)
    return step


def _name(step: Callable) -> str:
    return type(step).__name__
