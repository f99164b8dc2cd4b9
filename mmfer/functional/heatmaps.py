"""Landmarks drawn as heatmaps, on the device that holds them."""

from collections.abc import Sequence

import torch
from torch import Tensor


def pixels_to_cells(points: Tensor, image_size: Sequence[int], map_size: Sequence[int]) -> Tensor:
    """Converts pixel coordinates of an image into cell coordinates of a feature map over the same area.

    Pixel and cell centres lie at whole numbers, so that the corners (-.5, -.5) coincide.

    Args:
        points: (x, y) in pixels.
        image_size: (H, W) of the image.
        map_size: (H, W) of the map.

    Shapes:
        points: [..., 2].
        returns: [..., 2].
    """
    x, y = points.unbind(-1)
    # Two numbers rather than a tensor of them, which would have to be copied to the device.
    x = (x + 0.5) * (map_size[1] / image_size[1]) - 0.5
    y = (y + 0.5) * (map_size[0] / image_size[0]) - 0.5
    return torch.stack([x, y], dim=-1)


def average_points(points: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums of points, each NaN where one of the points that it is made of is not finite.

    A plain product would spread a NaN to every sum, and a NaN taken for 0 would move a landmark into a corner.

    Args:
        points: (x, y).
        weights: How much of each point is in each sum, 0 for most.

    Shapes:
        points: [..., P, 2].
        weights: [L, P].
        returns: [..., L, 2].
    """
    missing = (~points.isfinite()).any(-1, keepdim=True)
    sums = weights @ points.masked_fill(missing, 0)
    return sums.masked_fill((weights != 0).to(weights) @ missing.to(weights) > 0, torch.nan)


def gaussian_heatmaps(points: Tensor, size: Sequence[int], sigma: float = 1.5, tails: bool = False) -> Tensor:
    """Draws one Gaussian of peak 1 per landmark; a landmark that is NaN gives a map of zeros.

    Args:
        points: (x, y) in cells of the map, cell centres at whole numbers.
        size: (H, W) of the map.
        sigma: Standard deviation in cells.
        tails: Whether a landmark off the map is drawn as far as its Gaussian reaches into it, or not at all.

    Shapes:
        points: [..., L, 2].
        returns: [..., L, H, W].
    """
    rows, columns = gaussian_profiles(points, size, sigma, tails)
    return rows.unsqueeze(-1) * columns.unsqueeze(-2)


def gaussian_profiles(points: Tensor, size: Sequence[int], sigma: float, tails: bool = False) -> tuple[Tensor, Tensor]:
    """The rows and columns whose outer products are the Gaussians of :func:`gaussian_heatmaps`.

    A Gaussian is separable: L * (H + W) exponentials rather than L * H * W.

    Args:
        points: (x, y) in cells of the map, cell centres at whole numbers.
        size: (H, W) of the map.
        sigma: Standard deviation in cells.
        tails: Whether landmarks off the map count.

    Shapes:
        points: [..., L, 2].
        returns: rows [..., L, H], zeros for a landmark that does not count, and columns [..., L, W].
    """
    height, width = size
    x, y = points.unbind(-1)
    drawn = x.isfinite() & y.isfinite()
    if not tails:
        drawn &= (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    x, y = torch.where(drawn, x, 0).unsqueeze(-1), torch.where(drawn, y, 0).unsqueeze(-1)
    columns = torch.exp(-((torch.arange(width, device=points.device) - x) ** 2) / (2 * sigma**2))
    rows = torch.exp(-((torch.arange(height, device=points.device) - y) ** 2) / (2 * sigma**2))
    return rows * drawn.unsqueeze(-1), columns
