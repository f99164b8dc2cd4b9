"""Packs one face for collation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.structures import DataSample

from mmfer.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackFace(BaseTransform):
    """Turns a loaded face into ``dict(inputs=uint8 [3, H, W], data_samples=DataSample)``; the channels stay BGR.

    ``gt_label``, ``gt_score``, ``landmarks``, ``landmark_valid``, ``valence`` and ``arousal`` become fields of the
    sample; ``sample_idx``, ``clean_label`` and the image's path and shapes become metainfo, which no loss reads.
    """

    META_KEYS = ('sample_idx', 'clean_label', 'img_path', 'ori_shape', 'img_shape')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Packs one face."""
        image = results['img']
        sample = DataSample(metainfo={key: results[key] for key in self.META_KEYS if key in results})
        if results.get('gt_label') is not None:
            sample.set_gt_label(int(results['gt_label']))
        if results.get('gt_score') is not None:
            sample.set_gt_score(np.asarray(results['gt_score'], dtype=np.float32))
        if results.get('landmarks') is not None:
            sample.landmarks = torch.from_numpy(np.asarray(results['landmarks'], dtype=np.float32))
            sample.landmark_valid = torch.tensor(bool(results.get('landmark_valid', True)))
        for key in ('valence', 'arousal'):
            if results.get(key) is not None:
                sample.set_field(torch.tensor(float(results[key])), key)
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return dict(inputs=inputs, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
