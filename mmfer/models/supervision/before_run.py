"""What a supervision and a run must agree on, checked before the first step."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mmengine.logging import print_log

from mmfer.models.supervision.step import interpolate
from mmfer.models.supervision.supervision import Supervision


def check_learns(supervision: Supervision) -> None:
    """Something is minimised, and the scores take part in it.

    Raises:
        ValueError: There is no loss.
    """
    if not supervision.read_by_losses:
        raise ValueError(
            'supervision has no loss, so that nothing would be learnt: add the classification term, '
            'supervision.cls.losses.ce=dict(type="mmfer.CrossEntropyLoss"), or set supervision=None'
        )
    if not any({'logits', 'embedding', 'model'} & names for names in supervision.read_by_losses):
        _warn(
            'no loss of the supervision reads "logits": the classifier itself learns nothing; the classification term '
            'is supervision.cls.losses.ce=dict(type="mmfer.CrossEntropyLoss")'
        )


def check_run(supervision: Supervision, faces: int, max_epochs: int) -> None:
    """Lets parts refuse batches that are too small, and says what never begins within the run.

    Args:
        supervision: All methods of the run.
        faces: In a batch of all processes.
        max_epochs: Of the run.
    """
    for part in supervision.parts:
        part.check_run(faces, max_epochs)
    for where, points in supervision.schedules.items():
        if not any(interpolate(points, epoch) for epoch in range(max_epochs)):
            _warn(f'{where}.loss_weight={points} is 0 in all {max_epochs} epochs of the run: the term never counts')


def name_classes(supervision: Supervision, classes: Sequence[str]) -> None:
    """Tells parts what the training set's classes are called."""
    for part in supervision.parts:
        part.name_classes(classes)


def _warn(sentence: str) -> None:
    print_log(sentence, logger='current', level=logging.WARNING)
