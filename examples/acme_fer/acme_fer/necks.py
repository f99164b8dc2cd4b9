"""A neck: the brows and the mouth are pooled apart."""

import torch.nn.functional as F
from torch import Tensor, nn

from acme_fer.registry import MODELS


@MODELS.register_module()
class BandPooling(nn.Module):
    """Averages horizontal bands of an aligned face instead of the whole of it.

    Eyes and mouth keep features of their own, so that the head can tell raised brows from a raised upper lip.

    Args:
        in_channels: C of the backbone's map.
        bands: Number of bands; those of an odd height share rows.

    Shapes:
        x: [N, C, H, W], or a tuple whose last one counts.
        returns: 1-tuple of [N, C * bands], as mmpretrain's necks do.
    """

    def __init__(self, in_channels: int = 512, bands: int = 2):
        super().__init__()
        if bands < 1:
            raise ValueError(f'BandPooling needs at least one band, got bands={bands}')
        self.bands = bands
        self.out_channels = in_channels * bands  # mmfer holds it against head.in_channels

    def forward(self, x: Tensor | tuple[Tensor, ...]) -> tuple[Tensor]:
        """Pools the last stage."""
        x = x[-1] if isinstance(x, tuple) else x
        return (F.adaptive_avg_pool2d(x, (self.bands, 1)).flatten(1),)
