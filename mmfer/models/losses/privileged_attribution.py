"""Privileged attribution loss (PAL)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmfer.functional import average_points, landmark_prior, mean_over_ranks, pixels_to_cells, privileged_attribution
from mmfer.functional.attribution import STRATEGIES, checked_channels
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS
from mmfer.structures.landmark_sets import landmark_set

FACE = 112
"""Side of the face that `sigma` is given for."""

NARROWEST = 0.5
"""Least standard deviation in cells: a narrower Gaussian falls between the cell centres, and the prior would depend on
how landmarks happen to lie to the grid."""


@MODELS.register_module()
class PrivilegedAttributionLoss(Part):
    """Draws the attribution of a layer towards the landmarks.

    Landmarks are privileged information: known in training, not needed afterwards. The prior is one Gaussian a
    landmark, summed, drawn on the device at the layer's resolution from the augmented landmarks; the loss is the
    negative covariance of the standardised attribution with it, so it is mostly below 0. See
    `PAL <https://arxiv.org/abs/2203.12905>`_.

    Args:
        strategy: Which channels are compared: `mean`, `half`, `all`, or channel numbers; see
            :func:`~mmfer.functional.privileged_attribution`.
        points: Named set of landmarks: `all` 68 or `no_jaw`.
        sigma: Of the Gaussians, in pixels of a 112 px face; at least half a cell of the map.
        loss_weight: Weight of the term.

    Shapes:
        attribution: [N, C, H, W].
        landmarks: [N, 68, 2], pixels of `inputs`; a NaN point is left out.
        landmark_valid: [N]; faces without landmarks are left out of the mean, as are those with none inside the image.
        inputs: [N, 3, H', W'], for its size.
        returns: scalar.
    """

    local_rows = True  # the maps of all channels are large, and the mean over samples needs no other rank's

    channels: Tensor | None
    points_from_68: Tensor

    def __init__(
        self,
        strategy: str | Sequence[int] = 'mean',
        points: str = 'all',
        sigma: float = 3.0,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        if isinstance(strategy, str) and strategy not in STRATEGIES:
            raise ValueError(
                f'PrivilegedAttributionLoss: strategy must be {", ".join(STRATEGIES)} or channel numbers, '
                f'got {strategy!r}'
            )
        if not sigma > 0:
            raise ValueError(f'PrivilegedAttributionLoss: sigma must be above 0, got {sigma}')
        self.strategy, self.points, self.sigma, self.loss_weight = strategy, points, sigma, loss_weight
        numbers = None if isinstance(strategy, str) else torch.tensor(checked_channels(strategy))
        self.register_buffer('channels', numbers, persistent=False)
        self.register_buffer('points_from_68', landmark_set(points).weights(), persistent=False)

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """The mean is over faces with landmarks."""
        return '' if all_have_landmarks else 'divides by the number of faces with landmarks in a batch'

    def forward(self, attribution: Tensor, landmarks: Tensor, landmark_valid: Tensor, inputs: Tensor) -> Tensor:
        """Mean over the global batch's faces with landmarks.

        Raises:
            ValueError: If the map is a single cell, the landmarks are not the 68, or a chosen channel is not there.
        """
        size = attribution.shape[-2:]
        if size.numel() == 1:
            raise ValueError(
                f'inputs of {inputs.size(-1)} px leave one cell of the tapped map, and PAL compares '
                'cells: give larger faces or tap an earlier stage'
            )
        if landmarks.size(1) != self.points_from_68.size(1):
            raise ValueError(f'the landmark set "{self.points}" is defined on 68 points, got {landmarks.size(1)}')
        if not isinstance(self.strategy, str):
            checked_channels(self.strategy, attribution.size(1))
        prior = self.prior(landmarks, inputs.shape[-2:], size).to(attribution.dtype)
        terms = privileged_attribution(attribution, prior, self.strategy if self.channels is None else self.channels)
        return self.loss_weight * mean_over_ranks(terms, landmark_valid & (prior.amax((1, 2)) > 0))

    def prior(self, landmarks: Tensor, image_size: Sequence[int], map_size: Sequence[int]) -> Tensor:
        """Where the faces' landmarks lie on the map.

        Shapes:
            landmarks: [N, 68, 2], pixels of the image.
            returns: [N, H, W].
        """
        points = pixels_to_cells(average_points(landmarks, self.points_from_68), image_size, map_size)
        return landmark_prior(points, map_size, max(NARROWEST, self.sigma / FACE * min(map_size)))
