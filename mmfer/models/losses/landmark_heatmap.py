"""Landmark heatmap loss (LA-Net)."""

from torch import Tensor, nn

from mmfer.functional import gaussian_heatmaps, heatmap_loss, mean_over_ranks, pixels_to_cells
from mmfer.registry import MODELS
from mmfer.structures.landmark_sets import LandmarkSet, landmark_set


@MODELS.register_module()
class LandmarkHeatmapLoss(nn.Module):
    """Adaptive wing loss of predicted heatmaps against Gaussians at the landmarks.

    The targets are drawn on the device from the augmented coordinates; they are never stored. See
    `LA-Net <https://arxiv.org/abs/2307.09023>`_, sec. 3.1, and `Adaptive Wing Loss <https://arxiv.org/abs/1904.07399>`_.

    Args:
        points: Named set of landmarks, as many as the branch has heatmaps; ``'aflw19'`` or ``'all'``.
        sigma: Of the Gaussians, in cells of the heatmap.
        foreground_weight: Weight of cells near a landmark.
        loss_weight: Weight of the term.

    Shapes:
        heatmaps: [N, L, H, W].
        landmarks: [N, 68, 2], pixels of `inputs`.
        landmark_valid: [N]; faces without landmarks are left out of the mean.
        inputs: [N, 3, H', W'], for its size.
        returns: scalar.
    """

    local_rows = True  # heatmaps are large, and the mean over samples needs no other rank's

    def __init__(
        self, points: str = 'aflw19', sigma: float = 1.5, foreground_weight: float = 10.0, loss_weight: float = 1.0
    ):
        super().__init__()
        self.points: LandmarkSet = landmark_set(points)
        self.sigma, self.foreground_weight, self.loss_weight = sigma, foreground_weight, loss_weight

    def forward(self, heatmaps: Tensor, landmarks: Tensor, landmark_valid: Tensor, inputs: Tensor) -> Tensor:
        """Mean over the global batch's faces with landmarks.

        Raises:
            ValueError: If the branch draws another number of points.
        """
        size = heatmaps.shape[-2:]
        points = pixels_to_cells(self.points.select(landmarks), inputs.shape[-2:], size)
        if points.size(1) != heatmaps.size(1):
            raise ValueError(
                f'LandmarkHeatmapLoss draws {points.size(1)} points ({self.points.name}), the branch '
                f'{heatmaps.size(1)}; set num_landmarks={points.size(1)} of the LandmarkBranch'
            )
        target = gaussian_heatmaps(points, size, self.sigma)
        terms = heatmap_loss(heatmaps.float(), target, self.foreground_weight)
        return self.loss_weight * mean_over_ranks(terms, landmark_valid)
