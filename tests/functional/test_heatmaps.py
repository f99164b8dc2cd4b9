"""Gaussian targets against a double loop, and the change of grid by round numbers."""

import math

import naive
import pytest
import torch
from torch.testing import assert_close

from mmfer.functional import average_points, gaussian_heatmaps, pixels_to_cells


def double(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize('size', [(6, 6), (5, 9), (8, 3), (1, 1)])
@pytest.mark.parametrize('sigma', [1.5, 0.8])
def test_heatmaps_equal_a_double_loop_at_sub_cell_positions(size, sigma):
    generator = torch.Generator().manual_seed(0)
    # From two cells outside to two cells outside, so that some maps are zero.
    span = double([size[1] + 4, size[0] + 4])
    points = torch.rand(4, 5, 2, generator=generator, dtype=torch.float64) * span - 2.5
    maps = gaussian_heatmaps(points, size, sigma)
    assert maps.shape == (4, 5, *size)
    assert maps.dtype == torch.float64
    assert_close(maps, naive.gaussian_heatmaps(points, size, sigma), rtol=1e-10, atol=1e-12)


def test_heatmap_of_a_cell_centre_peaks_at_one_in_row_y_and_column_x():
    maps = gaussian_heatmaps(double([[[4.0, 1.0]]]), (3, 7))
    assert maps[0, 0, 1, 4].item() == 1.0
    assert maps.argmax().item() == 1 * 7 + 4
    assert_close(maps[0, 0, 1, 5].item(), math.exp(-1 / 4.5), rtol=1e-12, atol=0)  # default sigma 1.5
    assert_close(maps[0, 0, 2, 6].item(), math.exp(-5 / 4.5), rtol=1e-12, atol=0)


def test_heatmap_of_a_sub_cell_point_has_its_peak_between_the_cells():
    maps = gaussian_heatmaps(double([[[2.5, 1.25]]]), (4, 6))
    assert_close(maps[0, 0, 1, 2].item(), math.exp(-(0.25 + 0.0625) / 4.5), rtol=1e-12, atol=0)
    assert_close(maps[0, 0, 1, 2], maps[0, 0, 1, 3], rtol=1e-12, atol=0)
    assert maps.max().item() < 1


@pytest.mark.parametrize(
    ('point', 'inside'),
    [
        ((-0.5, 2.0), True),
        ((-0.5000001, 2.0), False),
        ((6.4999999, 2.0), True),
        ((6.5, 2.0), False),
        ((3.0, -0.5), True),
        ((3.0, -0.5000001), False),
        ((3.0, 4.4999999), True),
        ((3.0, 4.5), False),
        ((4.6, 4.6), False),  # inside only if width and height were swapped
        ((5.0, 4.0), True),
    ],
)
def test_a_point_counts_as_inside_from_the_first_cells_edge_to_just_before_the_last_cells_edge(point, inside):
    maps = gaussian_heatmaps(double([[point]]), (5, 7))
    assert (maps.max().item() > 0.5) == inside
    assert (maps.abs().max().item() == 0) == (not inside)


@pytest.mark.parametrize(
    'point', [(math.nan, math.nan), (math.nan, 2.0), (2.0, math.nan), (math.inf, 2.0), (2.0, -math.inf)]
)
def test_a_point_that_is_not_finite_gives_a_zero_map_and_leaves_the_others_alone(point):
    maps = gaussian_heatmaps(double([[point, (2.0, 3.0)]]), (5, 5))
    assert_close(maps[0, 0], torch.zeros(5, 5, dtype=torch.float64), rtol=0, atol=0)
    assert maps[0, 1, 3, 2].item() == 1.0


def test_the_tail_of_a_point_off_the_map_reaches_into_it():
    """One cell beside the first one the Gaussian of sigma 1.5 has exp(-1 / 4.5) = .8007; without tails nothing."""
    points = double([[[-1.0, 2.0], [7.0, 2.0], [2.0, 2.0], [math.nan, 2.0], [math.inf, 2.0], [-400.0, 2.0]]])
    maps = gaussian_heatmaps(points, (5, 6), tails=True)[0]
    assert_close(maps[0, 2, 0].item(), 0.800737, rtol=0, atol=1e-6)
    assert_close(maps[1, 2, 5].item(), math.exp(-4 / 4.5), rtol=1e-12, atol=0)
    without = gaussian_heatmaps(points, (5, 6))[0]
    assert_close(maps[2], without[2], rtol=0, atol=0)
    assert without[[0, 1, 3, 4, 5]].abs().max() == 0
    assert maps[3:].abs().max() == 0


def test_points_are_averaged_and_one_that_is_missing_takes_its_average_with_it():
    points = double([[[1.0, 2.0], [3.0, 6.0], [math.nan, 5.0], [9.0, math.inf]]])
    weights = double([[0.5, 0.5, 0, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]])
    seen = average_points(points, weights)
    assert_close(seen[0, :2], double([[2.0, 4.0], [3.0, 6.0]]), rtol=0, atol=0)
    assert seen[0, 2:].isnan().all()


def test_heatmaps_of_no_samples_are_empty():
    assert gaussian_heatmaps(torch.zeros(0, 3, 2), (4, 5)).shape == (0, 3, 4, 5)


def test_heatmaps_follow_the_order_of_samples_and_landmarks():
    points = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 6
    rows, columns = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2])
    expected = gaussian_heatmaps(points, (6, 6))[rows][:, columns]
    assert_close(gaussian_heatmaps(points[rows][:, columns], (6, 6)), expected, rtol=0, atol=0)


def test_pixels_to_cells_keeps_pixel_centres_at_integers():
    # 224 x 224 on 56 x 56: the centre of the first 4 pixels is the centre of the first cell.
    points = double([[[1.5, 1.5], [-0.5, -0.5], [223.5, 223.5], [111.5, 5.5]]])
    expected = double([[[0.0, 0.0], [-0.5, -0.5], [55.5, 55.5], [27.5, 1.0]]])
    assert_close(pixels_to_cells(points, (224, 224), (56, 56)), expected, rtol=0, atol=1e-12)


def test_pixels_to_cells_takes_sizes_as_height_and_width_and_points_as_x_and_y():
    # Width 224 -> 28 (1/8), height 112 -> 28 (1/4).
    points = double([[[3.5, 1.5], [11.5, 5.5]]])
    expected = double([[[0.0, 0.0], [1.0, 1.0]]])
    assert_close(pixels_to_cells(points, (112, 224), (28, 28)), expected, rtol=0, atol=1e-12)


def test_pixels_to_cells_and_back_is_the_identity_and_leaves_its_input_alone():
    points = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 100
    before = points.clone()
    cells = pixels_to_cells(points, (100, 120), (25, 31))
    assert_close(pixels_to_cells(cells, (25, 31), (100, 120)), before, rtol=1e-12, atol=1e-10)
    assert_close(points, before, rtol=0, atol=0)
    assert_close(pixels_to_cells(points, (100, 120), (100, 120)), before, rtol=1e-12, atol=1e-12)


def test_pixels_to_cells_passes_missing_points_on_as_missing():
    cells = pixels_to_cells(double([[[math.nan, 3.0]]]), (8, 8), (2, 2))
    assert math.isnan(cells[0, 0, 0].item())
    assert_close(gaussian_heatmaps(cells, (2, 2)), torch.zeros(1, 1, 2, 2, dtype=torch.float64), rtol=0, atol=0)
