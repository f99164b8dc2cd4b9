"""Landmark heatmap loss (LA-Net)."""

from collections.abc import Sequence

from torch import Tensor

from mmfer.functional import average_points, gaussian_heatmaps, heatmap_loss, mean_over_ranks, pixels_to_cells
from mmfer.models.supervision.part import Part
from mmfer.registry import MODELS
from mmfer.structures.landmark_sets import landmark_set
from mmfer.structures.ranges import check_range


@MODELS.register_module()
class LandmarkHeatmapLoss(Part):
    """Adaptive wing loss of predicted heatmaps against Gaussians at the landmarks.

    The targets are drawn on the device from the augmented coordinates; they are never stored. See
    `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.1, and `Adaptive Wing Loss <https://arxiv.org/abs/1904.07399>`_.

    Args:
        points: Named set of landmarks, as many as the branch has heatmaps; ``'aflw19'`` or ``'all'``.
        sigma: Of the Gaussians, in cells of the heatmap.
        foreground_weight: Weight of cells near a landmark.
        tails: Whether a landmark that a crop has pushed off the map is drawn as far as its Gaussian reaches into it
            (the authors' code), or has a map of zeros.
        loss_weight: Weight of the term.

    Shapes:
        heatmaps: [N, L, H, W].
        landmarks: [N, 68, 2], pixels of `inputs`; a point that is NaN has a map of zeros.
        landmark_valid: [N]; faces without landmarks are left out of the mean.
        inputs: [N, 3, H', W'], for its size.
        returns: scalar.
    """

    local_rows = True  # heatmaps are large, and the mean over samples needs no other rank's

    points_from_68: Tensor

    def __init__(
        self,
        points: str = 'aflw19',
        sigma: float = 1.5,
        foreground_weight: float = 10.0,
        tails: bool = False,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        check_range('sigma', sigma, above=0, why='it is the width of the Gaussians, in cells')
        check_range('foreground_weight', foreground_weight, 0, why='it is what a cell near a landmark counts')
        self.points, self.tails = points, tails
        self.register_buffer('points_from_68', landmark_set(points).weights(), persistent=False)
        self.sigma, self.foreground_weight, self.loss_weight = sigma, foreground_weight, loss_weight

    def whole_batch(self, all_have_landmarks: bool) -> str:
        """The mean is over faces with landmarks."""
        return '' if all_have_landmarks else 'divides by the number of faces with landmarks in a batch'

    def forward(self, heatmaps: Tensor, landmarks: Tensor, landmark_valid: Tensor, inputs: Tensor) -> Tensor:
        """Mean over the global batch's faces with landmarks.

        Raises:
            ValueError: If the branch draws another number of points, or the landmarks are not the 68.
        """
        size = heatmaps.shape[-2:]
        wanted, known = self.points_from_68.shape
        if wanted != heatmaps.size(1):
            raise ValueError(
                f'LandmarkHeatmapLoss draws {wanted} points ({self.points}), the branch {heatmaps.size(1)}; '
                f'set num_landmarks={wanted} of the LandmarkBranch'
            )
        if landmarks.size(1) != known:
            raise ValueError(f'the landmark set "{self.points}" is defined on {known} points, got {landmarks.size(1)}')
        heatmaps = heatmaps.float() if heatmaps.dtype.itemsize < 4 else heatmaps
        terms = heatmap_loss(heatmaps, self.target(landmarks, inputs.shape[-2:], size), self.foreground_weight)
        return self.loss_weight * mean_over_ranks(terms, landmark_valid)

    def target(self, landmarks: Tensor, image_size: Sequence[int], map_size: Sequence[int]) -> Tensor:
        """The Gaussians at the landmarks.

        Shapes:
            landmarks: [N, 68, 2], pixels of the image.
            returns: [N, L, H, W].
        """
        points = pixels_to_cells(average_points(landmarks, self.points_from_68), image_size, map_size)
        return gaussian_heatmaps(points, map_size, self.sigma, self.tails)
