"""Whether pictures and landmarks leave a data preprocessor together."""

from __future__ import annotations

import logging

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from mmfer.engine.supervision_of import supervision_of
from mmfer.models import FaceDataPreprocessor
from mmfer.structures import FaceBatch
from mmfer.structures.landmark_probe import Change, measure

_ROUNDS = 6


def check_preprocessor(runner: Runner) -> None:
    """Measures any other preprocessor than mmfer's own, which measures its transforms when it is built.

    mmpretrain's mixup (``model.train_cfg``) mixes images and labels; landmarks cannot be mixed.

    Raises:
        ValueError: A part needs landmarks, and they would not be those of the pictures.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    needs = getattr(supervision_of(runner), 'needs_landmarks', None)
    preprocessor = model.data_preprocessor
    if needs is None or type(preprocessor) is FaceDataPreprocessor:
        return
    mixes = getattr(preprocessor, 'batch_augments', None)
    if mixes is not None:
        names = ', '.join(type(part).__name__ for part in getattr(mixes, 'augments', [mixes]))
        raise ValueError(
            f'model.train_cfg mixes images ({names}), and the landmarks that {needs} needs stay as they were: leave it '
            'out with model.train_cfg=None'
        )
    name = type(preprocessor).__name__
    try:
        found, why = measure(_change(preprocessor), rounds=_ROUNDS), ''
    except Exception as error:  # of whatever kind: a preprocessor may be anybody's
        found, why = None, f' ({type(error).__name__}: {error})'
    if found and found.fault:
        raise ValueError(
            f'data_preprocessor: {name} {found.fault}, and {needs} needs landmarks; take mmfer.FaceDataPreprocessor '
            'as data_preprocessor.type'
        )
    if not found or not found.found:
        print_log(
            f'data_preprocessor: whether {name} moves landmarks as it moves pictures could not be measured{why}',
            logger='current',
            level=logging.WARNING,
        )


def _change(preprocessor: nn.Module) -> Change:
    def change(pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(points))
        batch = FaceBatch(
            label=torch.zeros_like(rows), sample_idx=rows, landmarks=points, landmark_valid=torch.ones_like(rows) > 0
        )
        data = preprocessor({'inputs': (255 * pictures).round().byte(), 'data_samples': list(batch)}, training=True)
        samples = data['data_samples']
        moved = samples if isinstance(samples, FaceBatch) else FaceBatch.from_data_samples(samples)
        return data['inputs'].float().cpu(), moved.landmarks.float().cpu()

    return change
