"""The metric of the protocol: overall and mean class accuracy, macro F1, recall of each class, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmfer.evaluation.calibration import calibration_error, negative_log_likelihood
from mmfer.evaluation.confusion import confusion_matrix, summarise
from mmfer.registry import METRICS


class PredictedFace(NamedTuple):
    """One row of the evaluation."""

    sample_idx: int
    """Row in the dataset, -1 where the sample does not say."""
    img_path: str
    label: int
    score: np.ndarray
    """Probabilities [K]."""
    votes: np.ndarray | None = None
    """The annotators' votes as shares [K], where the dataset has them."""


@METRICS.register_module()
class FERMetric(BaseMetric):
    """Overall accuracy beside what it hides: mean class accuracy, macro F1, and the recall of each class, in percent.

    Expression datasets are imbalanced (a third to a half of the faces are happy), so overall accuracy alone rewards
    forgetting fear and disgust. A class without test faces is left out of the means and named once in the log. Whether
    the probabilities can be believed say ``calibration_error``, in percent, and ``nll``, in nats; where the faces carry
    annotators' votes (``gt_score``), that is the likelihood of these (:mod:`mmfer.evaluation.calibration`).

    After an evaluation the main process holds ``confusion`` (int64 [K, K], rows are observed labels), ``classes`` and
    ``faces`` (one :class:`PredictedFace` a row, in dataset order) for pictures and tables.

    Args:
        collect_device: 'cpu' or 'gpu', where the ranks' results meet. Defaults to 'cpu'.
        prefix: Put before the names, as ``prefix/accuracy``. Defaults to None: none.
        collect_dir: Folder through which the ranks' results meet. Defaults to None: one in the run's work folder.
    """

    default_prefix = ''

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None, collect_dir: str | None = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.confusion = np.zeros((0, 0), dtype=np.int64)  # nothing is evaluated yet
        self.classes: tuple[str, ...] = ()
        self.faces: list[PredictedFace] = []
        self._told: set[str] = set()

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps what the figures and the tables need of each sample."""
        for sample in data_samples:
            if 'gt_label' not in sample:
                raise ValueError(f'{_name(sample)} has no gt_label to evaluate against: use tools/predict.py')
        # One copy from the device each instead of two a face.
        scores = torch.stack([sample['pred_score'] for sample in data_samples]).detach().float().cpu().numpy()
        labels = torch.stack([sample['gt_label'].reshape(()) for sample in data_samples]).tolist()
        for sample, label, score in zip(data_samples, labels, scores, strict=True):
            if not np.isfinite(score).all():
                raise ValueError(
                    f'the network predicts {score.tolist()} for {_name(sample)}: its weights are no '
                    'numbers any more; lower optim_wrapper.optimizer.lr, or train without --amp'
                )
            index, path = int(sample.get('sample_idx', -1)), str(sample.get('img_path') or '')
            votes = sample.get('gt_score')
            shares = None if votes is None else torch.as_tensor(votes).float().cpu().numpy()
            self.results.append(PredictedFace(index, path, label, score, shares))

    def compute_metrics(self, results: list[tuple[Any, ...]]) -> dict[str, float]:
        """Counts and summarises; runs on the main process only."""
        if not results:
            raise ValueError('there is nothing to evaluate: the dataset of the val/test dataloader is empty')
        faces = [PredictedFace(*face) for face in results]  # mmengine's trip over the ranks leaves plain tuples
        self.classes = self._class_names(len(faces[0].score))
        label = np.array([face.label for face in faces])
        predicted = np.array([face.score.argmax() for face in faces])
        num_classes = len(self.classes)
        if label.min() < 0 or label.max() >= num_classes:
            odd = next(face for face in faces if not 0 <= face.label < num_classes)
            raise ValueError(
                f'{_name(odd._asdict())} is labelled {odd.label}, but there are only {num_classes} '
                f'classes ({", ".join(self.classes)}): correct its row in the label file'
            )
        self.faces, self.confusion = faces, confusion_matrix(label, predicted, num_classes)
        self._name_empty_classes()
        scores, votes = np.stack([face.score for face in faces]), [face.votes for face in faces]
        known = [shares for shares in votes if shares is not None]
        target = np.stack(known) if len(known) == len(faces) else label
        return dict(
            summarise(self.confusion, self.classes),
            calibration_error=calibration_error(scores, label),
            nll=negative_log_likelihood(scores, target),
        )

    def _class_names(self, num_scores: int) -> tuple[str, ...]:
        names = (self.dataset_meta or {}).get('classes')
        if names is None:
            return tuple(f'class{i}' for i in range(num_scores))
        if len(names) != num_scores:
            raise ValueError(
                f'the head scores {num_scores} classes but the dataset has {len(names)} '
                f'({", ".join(names)}): set model.head.num_classes={len(names)}'
            )
        return tuple(names)

    def _name_empty_classes(self) -> None:
        empty = {name for name, count in zip(self.classes, self.confusion.sum(1), strict=True) if count == 0}
        if empty - self._told:
            print_log(
                f'no face of the evaluated set is labelled {", ".join(sorted(empty))}: left out of the mean '
                'class accuracy and of macro F1',
                logger='current',
            )
            self._told |= empty


def _name(sample: dict[str, Any]) -> str:
    return str(sample.get('img_path') or f'face {sample.get("sample_idx", "")}'.strip())
