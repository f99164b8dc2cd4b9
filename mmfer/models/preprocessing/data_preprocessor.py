"""Images and landmarks to the device, augmented there as one batch."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmfer.functional import pixels_to_cells
from mmfer.models.preprocessing.augmentation import FaceAugmentation
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class FaceDataPreprocessor(BaseDataPreprocessor):
    """Turns a batch of uint8 faces into normalised network input of one size.

    Training: uint8 to [0, 1], `augment` at the stored size (small images first, it is cheaper), a resize to `size`
    where nothing did it yet, normalisation, `augment_normalized`. Otherwise: resize and normalisation only. Randomness
    comes from torch's generator alone, which `ReseedHook` sets before every iteration.

    Args:
        size: Side of the network's input, or (H, W).
        mean: Per channel, of images in [0, 1]; RGB.
        std: Likewise.
        to_rgb: Whether images arrive as BGR (mmcv and mmfer load them so).
        augment: Configs of kornia augmentations (:class:`~mmfer.models.preprocessing.augmentation.FaceAugmentation`).
        augment_normalized: Likewise, after normalisation; random erasing fills with the mean then.
        batch_augments: mmpretrain's classifiers hand their `train_cfg` over by this name; mixing images is not possible
            here, as their landmarks and sample memory cannot be mixed.
        non_blocking: Whether to copy to the device asynchronously.

    Raises:
        ValueError: If `batch_augments` is given.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 224,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        to_rgb: bool = True,
        augment: Sequence[dict[str, Any]] = (),
        augment_normalized: Sequence[dict[str, Any]] = (),
        batch_augments: dict[str, Any] | None = None,
        non_blocking: bool = True,
    ):
        super().__init__(non_blocking=non_blocking)
        if batch_augments is not None:
            raise ValueError(
                f'train_cfg={batch_augments} mixes images, whose landmarks cannot be mixed; use the '
                'ClsDataPreprocessor of mmpretrain for mixup, or leave train_cfg out'
            )
        sides = size if isinstance(size, list | tuple) else (size,)
        if len(sides) > 2 or not sides:
            raise ValueError(f'data_preprocessor.size must be a side or (height, width), got {size!r}')
        for side in sides:
            check_range('data_preprocessor.size', side, 1, whole=True)
        why = 'it is of pixels in [0, 1]: divide one of pixels in 0..255 by 255'
        for value in mean:
            check_range('data_preprocessor.mean', value, 0, 1, why=why)
        for value in std:
            check_range('data_preprocessor.std', value, above=0, most=1, why=why)
        self.size = (int(sides[0]), int(sides[-1]))
        self.to_rgb = to_rgb
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.augment = FaceAugmentation(augment, self.size) if augment else None
        self.augment_normalized = FaceAugmentation(augment_normalized, self.size) if augment_normalized else None

    @torch.no_grad()
    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepares a batch.

        Args:
            data: ``inputs`` uint8 [N, 3, H, W] (or a list of [3, H, W]) and ``data_samples``.
            training: Whether to augment.

        Returns:
            ``inputs`` [N, 3, *size] and ``data_samples``, a FaceBatch on the device (or None).
        """
        # MMEngine prepares data inside its mixed-precision context; coordinates need more than 8 bits.
        with torch.autocast(self.device.type, enabled=False):
            return self._prepare(data, training)

    def _prepare(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        batch = data.get('data_samples')
        if batch is not None and not isinstance(batch, FaceBatch):
            batch = FaceBatch.from_data_samples(batch)
        if batch is not None:
            batch = batch.to(self.device, non_blocking=self._non_blocking)
        landmarks = None if batch is None else batch.landmarks

        images = self._stack(data['inputs'])
        if self.to_rgb:
            images = images.flip(1)
        images = images.float() / 255
        if training and self.augment is not None:
            images, landmarks = self.augment(images, landmarks)
        images, landmarks = self._resize(images, landmarks)
        images.sub_(self.mean).div_(self.std)  # in place: new memory costs a CPU ten times what the arithmetic does
        if training and self.augment_normalized is not None:
            images, landmarks = self.augment_normalized(images, landmarks)
        if batch is not None:
            batch.landmarks = landmarks
        return {'inputs': images, 'data_samples': batch}

    def _stack(self, images: Tensor | Sequence[Tensor]) -> Tensor:
        if isinstance(images, Tensor):
            return images.to(self.device, non_blocking=self._non_blocking)
        images = [image.to(self.device, non_blocking=self._non_blocking) for image in images]
        if len({image.shape for image in images}) > 1:  # photos of a folder; their landmarks are nobody's target
            images = [self._resize(image[None].float(), None)[0][0] for image in images]
        return torch.stack(images)

    def _resize(self, images: Tensor, landmarks: Tensor | None) -> tuple[Tensor, Tensor | None]:
        before = tuple(images.shape[-2:])
        if before == self.size:
            return images, landmarks
        if landmarks is not None:
            landmarks = pixels_to_cells(landmarks, before, self.size)
        return F.interpolate(images, self.size, mode='bilinear', antialias=True, align_corners=False), landmarks
