"""Makes a batch of what PackFace returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmfer.datasets.packing.batches import ReadBatch
from mmfer.registry import FUNCTIONS
from mmfer.structures.face_batch import FaceBatch


@FUNCTIONS.register_module()
def collate_faces(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks packed faces into one tensor and one :class:`FaceBatch`.

    Name it in the loader: ``collate_fn=dict(type='mmfer.collate_faces')``. The images stay uint8: a quarter of the
    bytes to move, and normalisation is done on the device.

    Args:
        samples: What :class:`PackFace` made: dicts of ``inputs`` [3, H, W] and ``data_samples``; a batch that was read
            at once is handed on.

    Returns:
        dict(inputs=uint8 [N, 3, H, W], data_samples=FaceBatch of N).

    Raises:
        ValueError: The images differ in size.
    """
    if isinstance(samples, ReadBatch):
        return dict(inputs=samples.inputs, data_samples=samples.data_samples)
    first = samples[0]['inputs']
    for sample in samples:
        if sample['inputs'].shape != first.shape:
            raise ValueError(
                f'images of one batch differ in size: {_describe(samples[0])} and {_describe(sample)}; '
                "give the pipeline one size, e.g. dict(type='mmfer.LoadFace', size=100)"
            )
    return dict(
        inputs=torch.stack([sample['inputs'] for sample in samples]),
        data_samples=FaceBatch.from_data_samples(sample['data_samples'] for sample in samples),
    )


def _describe(sample: dict[str, Any]) -> str:
    _, height, width = sample['inputs'].shape
    return f'{sample["data_samples"].get("img_path", "an image")} is {height} x {width}'
