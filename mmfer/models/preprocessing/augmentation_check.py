"""Refuses augmentations that move pictures apart from their landmarks, by measuring each of them."""

import logging
from typing import Any

import torch
from mmengine.logging import print_log

from mmfer.models.preprocessing.kornia_sequence import KorniaSequence, build_transform, refused
from mmfer.structures.landmark_probe import APART, Measured, measure, own_randomness

_SIZES = ((128, 160), (256, 320), (512, 640))
"""Of the pictures to measure with: a larger one where a transform, such as a crop to 224 pixels, needs it."""
_measured: dict[tuple[Any, ...], Measured] = {}
"""What was measured in this process: the transforms of a config are built several times."""


def require_fit(cfg: dict[str, Any], size: tuple[int, int], cls: type) -> None:
    """Measures a transform, once a process.

    Args:
        cfg: Its config.
        size: (H, W) for those that need a ``size`` and name none.
        cls: What it builds.

    Raises:
        ValueError: It mixes pictures, moves them without their landmarks, or confuses left and right landmarks.
    """
    for always in (False, True):
        key = (cls, repr(sorted(cfg.items())), size, always)
        if key not in _measured:
            _measured[key] = _measure(cfg, size, always)
        found = _measured[key]
        if found.fault:
            far = f' (by up to {100 * found.distance:.0f} % of its side)' if found.fault == APART else ''
            raise refused(cfg['type'], found.fault, far)
    if not found.found:
        print_log(
            f'augment: whether {cfg["type"]} keeps pictures and landmarks together could not be measured (it leaves '
            'nothing of a picture, or draws random numbers of its own); see what it does with '
            'python tools/dataset_tools/browse.py CONFIG',
            logger='current',
            level=logging.WARNING,
        )


def _measure(cfg: dict[str, Any], size: tuple[int, int], always: bool) -> Measured:
    error, found = None, None
    if '.' not in cfg['type'] and cfg.get('padding_mode') == 'reflection':
        cfg = {**cfg, 'padding_mode': 'zeros'}  # mirror images beside the picture would be taken for the picture
    for picture in _SIZES:
        with own_randomness():
            augmentation = KorniaSequence([build_transform(cfg, size)])
            if always:
                _do_always(augmentation.images)
            try:
                found = measure(augmentation, picture)
            except Exception as failed:  # of whatever kind: a transform may be anybody's
                error = error or failed
            if found and (found.found or found.fault):
                break
    if found:
        return found
    raise ValueError(
        f'augment: {cfg["type"]} fails on pictures with landmarks: {type(error).__name__} {error}; correct its '
        'parameters, or take it out'
    )


def _do_always(parts: torch.nn.Module) -> None:
    """What is done to one picture of a hundred would hardly be seen while measuring."""
    for module in parts.modules():
        for name in ('p', 'p_batch', 'prob', 'probability'):
            value = getattr(module, name, None)
            if isinstance(value, float) and 0 < value < 1 and not type(module).__module__.startswith('torch.'):
                setattr(module, name, 1.0)
