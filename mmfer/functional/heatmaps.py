"""Landmarks drawn as heatmaps, on the device that holds them."""

import torch
from torch import Tensor


def pixels_to_cells(points: Tensor, image_size: tuple[int, int], map_size: tuple[int, int]) -> Tensor:
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


def gaussian_heatmaps(points: Tensor, size: tuple[int, int], sigma: float = 1.5) -> Tensor:
    """Draws one Gaussian of peak 1 per landmark; a landmark off the map (or NaN) gives a map of zeros.

    Args:
        points: (x, y) in cells of the map, cell centres at whole numbers.
        size: (H, W) of the map.
        sigma: Standard deviation in cells.

    Shapes:
        points: [..., L, 2].
        returns: [..., L, H, W].
    """
    rows, columns = gaussian_profiles(points, size, sigma)
    return rows.unsqueeze(-1) * columns.unsqueeze(-2)


def gaussian_profiles(points: Tensor, size: tuple[int, int], sigma: float) -> tuple[Tensor, Tensor]:
    """The rows and columns whose outer products are the Gaussians of :func:`gaussian_heatmaps`.

    A Gaussian is separable: L * (H + W) exponentials rather than L * H * W.

    Args:
        points: (x, y) in cells of the map, cell centres at whole numbers.
        size: (H, W) of the map.
        sigma: Standard deviation in cells.

    Shapes:
        points: [..., L, 2].
        returns: rows [..., L, H], zeros for a landmark off the map or NaN, and columns [..., L, W].
    """
    height, width = size
    x, y = points.unbind(-1)
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)  # False for NaN
    x, y = torch.where(inside, x, 0).unsqueeze(-1), torch.where(inside, y, 0).unsqueeze(-1)
    columns = torch.exp(-((torch.arange(width, device=points.device) - x) ** 2) / (2 * sigma**2))
    rows = torch.exp(-((torch.arange(height, device=points.device) - y) ** 2) / (2 * sigma**2))
    return rows * inside.unsqueeze(-1), columns
