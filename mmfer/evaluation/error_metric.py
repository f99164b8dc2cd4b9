"""Metrics of networks that classify nothing: means of the errors that a network says of each face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmfer.registry import METRICS


class ErrorMetric(BaseMetric):
    """Means of what a network's ``predict`` adds to each sample.

    Args:
        collect_device: 'cpu' or 'gpu', where the ranks' results meet. Defaults to 'cpu'.
        prefix: Put before the names. Defaults to None: none.
        collect_dir: Folder through which the ranks' results meet. Defaults to None: one in the run's work folder.
    """

    default_prefix = ''
    FIELDS: tuple[str, ...]
    """Of each sample, what is averaged."""
    JUDGES: str
    """The model that adds them."""

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None, collect_dir: str | None = None):
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keeps the errors of each face."""
        if any(name not in sample for sample in data_samples for name in self.FIELDS):
            raise ValueError(
                f'{type(self).__name__} judges a {self.JUDGES}; classifiers are judged by '
                "val_evaluator=dict(type='mmfer.FERMetric')"
            )
        columns = [torch.stack([sample[name] for sample in data_samples]).tolist() for name in self.FIELDS]
        self.results += list(zip(*columns, strict=True))

    def compute_metrics(self, results: list[tuple[float, float]]) -> dict[str, float]:
        """Means over the faces; runs on the main process only."""
        if not results:
            raise ValueError('there is nothing to evaluate: the dataset of the val dataloader is empty')
        return {
            name: sum(column) / len(results)
            for name, column in zip(self.FIELDS, zip(*results, strict=True), strict=True)
        }


@METRICS.register_module()
class ReconstructionMetric(ErrorMetric):
    """How far reconstructed faces are from the faces: mean absolute error in grey levels of 0..255.

    Beside it that of the mean training face, which an autoencoder must beat to have learnt anything about the faces.
    """

    FIELDS = ('reconstruction_error', 'mean_face_error')
    JUDGES = 'mmfer.FaceAutoEncoder'


@METRICS.register_module()
class EmbeddingMetric(ErrorMetric):
    """How far embeddings are from a teacher's descriptors: mean squared distance.

    Beside it that of the mean descriptor in training: one minus their ratio is the share of what the teacher tells of
    faces that the network has learnt.
    """

    FIELDS = ('embedding_error', 'mean_error')
    JUDGES = 'mmfer.DistilledEmbedding'
