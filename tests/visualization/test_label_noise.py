"""The picture of label noise is read back: what left the diagonal is what one sees."""

import cv2
import numpy as np
import pytest
from matplotlib import colormaps

from mmfer.visualization import draw_label_noise

COUNTS = np.array([[90, 10, 0], [0, 40, 60], [0, 0, 0]])
GREY = [230, 230, 230]


def read(path) -> np.ndarray:
    """RGB."""
    return cv2.imread(str(path))[..., ::-1].astype(int)


def area(image: np.ndarray, colour) -> int:
    return int((np.abs(image - colour) <= 2).all(-1).sum())


def shade(value: float) -> np.ndarray:
    return np.round(255 * np.array(colormaps['OrRd'](float(value))[:3]))


def test_colour_is_the_share_that_left_the_diagonal(tmp_path):
    path = draw_label_noise({'believed': COUNTS}, ['a', 'b', 'c'], tmp_path / 'new' / 'x.png', 'heading')
    assert path == tmp_path / 'new' / 'x.png'
    image = read(path)
    cell = area(image, shade(1))  # 60 of 100 is the most that left a class
    assert cell > 1000
    assert area(image, shade(1 / 6)) == pytest.approx(cell, rel=0.2)  # 10 of 100
    assert area(image, shade(0)) == pytest.approx(4 * cell, rel=0.2)
    assert area(image, GREY) == pytest.approx(3 * cell, rel=0.2)  # the diagonal, whatever stands in it


def test_panels_stand_side_by_side_on_one_scale(tmp_path):
    one = read(draw_label_noise({'believed': COUNTS}, ['a', 'b', 'c'], tmp_path / 'one.png'))
    half = COUNTS @ np.array([[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]])  # 30 of 100 left, 30 came back
    two = read(draw_label_noise({'believed': COUNTS, 'clean': half.astype(int)}, ['a', 'b', 'c'], tmp_path / 'two.png'))
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] > 1.4 * one.shape[1]
    assert area(two, GREY) == pytest.approx(2 * area(one, GREY), rel=0.05)
    assert area(two, shade(1)) == area(one, shade(1))
    assert area(two, shade(0.5)) > 1000
    assert area(one, shade(0.5)) == 0


def test_labels_that_all_stayed_are_drawn_too(tmp_path):
    image = read(draw_label_noise({'believed': np.diag([5, 5])}, ['a', 'b'], tmp_path / 'x.png'))
    assert area(image, shade(0)) > 2000
