"""The pictures are read back: what they must show is in their pixels."""

import cv2
import numpy as np
import pytest

from mmfer.evaluation import protocol_report
from mmfer.visualization import draw_confusion_matrix, draw_learning_curves, draw_predictions

BLUE = (0xAA, 0x77, 0x44)  # BGR of the bars and of the accuracy curve
RED = (0x77, 0x66, 0xEE)
INK = (0x33, 0x33, 0x33)


def read(path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image.astype(int)


def mask(image: np.ndarray, colour, tolerance=6) -> np.ndarray:
    return (np.abs(image - colour) <= tolerance).all(-1)


def cells(image: np.ndarray, k: int) -> np.ndarray:
    """Mean brightness of the corners of the k x k cells; the field is found by its colour."""
    field = mask(image, (255, 251, 247), 2) | (image[..., 0] - image[..., 2] > 20)
    rows, columns = np.flatnonzero(field.mean(1) > 0.3), np.flatnonzero(field.mean(0) > 0.3)
    top, left = rows[0], columns[0]
    height, width = (rows[-1] - top) / k, (columns[-1] - left) / k
    spot = [
        [image[int(top + (i + 0.12) * height), int(left + (j + 0.12) * width)].mean() for j in range(k)]
        for i in range(k)
    ]
    return np.array(spot)


def test_the_confusion_matrix_is_dark_where_its_rows_are_heavy(tmp_path):
    # Row shares, not counts: the rare class is predicted as well as the common one is.
    confusion = np.array([[900, 100, 0], [0, 9, 1], [50, 0, 50]])
    draw_confusion_matrix(confusion, ['happiness', 'fear', 'anger'], tmp_path / 'c.png', 'three classes')
    dark = cells(read(tmp_path / 'c.png'), 3)
    assert abs(dark[0, 0] - dark[1, 1]) < 3
    assert dark[0, 0] < dark[2, 2] < dark[0, 1] < dark[0, 2]
    assert abs(dark[2, 0] - dark[2, 2]) < 3


def test_a_class_without_faces_is_a_grey_row(tmp_path):
    draw_confusion_matrix(np.array([[5, 1, 0], [0, 0, 0], [1, 0, 5]]), ['a', 'b', 'c'], tmp_path / 'c.png')
    grey = mask(read(tmp_path / 'c.png'), (235, 235, 235), 1)
    rows = np.flatnonzero(grey.mean(1) > 0.3)
    assert len(rows) > 50
    assert abs(rows.mean() / len(grey) - 0.48) < 0.08  # the row in the middle
    assert len(np.flatnonzero(np.diff(rows) > 1)) <= 4  # one band, but for its text


@pytest.mark.parametrize('k', [2, 7, 11])
def test_any_number_of_classes_can_be_drawn(k, tmp_path):
    confusion = np.eye(k, dtype=int) * 10
    draw_confusion_matrix(confusion, [f'expression {i}' for i in range(k)], tmp_path / 'c.png', 'a ' + 'long ' * 9)
    dark = cells(read(tmp_path / 'c.png'), k)
    assert (dark.diagonal() < 100).all()
    assert (dark[~np.eye(k, dtype=bool)] > 200).all()


def make_report(accuracy, mean_class, losses=(), **train):
    records = [
        dict(
            epoch=i + 1,
            iter=i,
            train={**({'loss': losses[i]} if losses else {}), **train},
            metrics=dict(accuracy=a, mean_class_accuracy=m),
        )
        for i, (a, m) in enumerate(zip(accuracy, mean_class, strict=True))
    ]
    return protocol_report(records, config='toy', seed=0, split='test', classes=['a', 'b'], confusion=[[3, 1], [1, 1]])


def panel(image: np.ndarray, half: int) -> np.ndarray:
    """Upper or lower panel without the legends at its right."""
    middle = image.shape[0] // 2
    return image[half * middle : (half + 1) * middle, : int(image.shape[1] * 0.75)]


def test_the_curves_rise_where_the_accuracy_does(tmp_path):
    draw_learning_curves(make_report([20, 40, 60, 80], [10, 15, 20, 25], [4, 3, 2, 1]), tmp_path / 'l.png')
    scores = panel(read(tmp_path / 'l.png'), 1)
    for colour, above in ((BLUE, True), (RED, False)):
        y, x = np.nonzero(mask(scores, colour))
        assert len(y) > 100
        assert y[x < np.quantile(x, 0.2)].mean() > y[x > np.quantile(x, 0.8)].mean() + 5, 'rises to the right'
        blue = np.nonzero(mask(scores, BLUE))[0].mean()
        assert (y.mean() <= blue) == above
    y, x = np.nonzero(mask(panel(read(tmp_path / 'l.png'), 0), INK))
    left, right = y[x < np.quantile(x, 0.3)], y[x > np.quantile(x, 0.8)]
    assert left.mean() < right.mean(), 'the total loss falls'


def test_one_epoch_and_no_losses_are_no_error(tmp_path):
    draw_learning_curves(make_report([50], [40]), tmp_path / 'l.png')
    assert mask(panel(read(tmp_path / 'l.png'), 1), BLUE).sum() > 5


def test_a_loss_that_is_nan_or_negative_is_no_error(tmp_path):
    draw_learning_curves(make_report([50, 60], [40, 45], [float('nan'), -2.0]), tmp_path / 'l.png')
    draw_learning_curves(make_report([50, 60], [40, 45], [float('nan'), float('inf')]), tmp_path / 'l.png')
    assert mask(panel(read(tmp_path / 'l.png'), 1), BLUE).sum() > 50


def test_every_face_is_on_the_sheet_with_its_bars(tmp_path):
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (200, 30, 200), (30, 200, 200)]
    faces = [
        np.full((h, w, 3), colour, np.uint8)
        for colour, (h, w) in zip(
            colours, [(100, 100), (50, 100), (300, 200), (1, 1), (48, 48), (700, 700)], strict=True
        )
    ]
    scores = np.array([[0.9, 0.1, 0], [0.6, 0.2, 0.2], [0.4, 0.3, 0.3], [0, 0, 1], [0, 1, 0], [0.5, 0.5, 0]])
    names = [f'{i}.jpg' for i in range(6)]
    draw_predictions(faces, names, scores, ['happy', 'sad', 'angry'], tmp_path / 'p.png', 'six')
    sheet = read(tmp_path / 'p.png')
    areas = [mask(sheet, colour).sum() for colour in colours]
    assert areas[1] == pytest.approx(areas[0] / 2, rel=0.05), 'not distorted'
    assert areas[5] == pytest.approx(areas[0], rel=0.05)
    assert min(areas) > 1000
    # Length of the best bar of each face, in the row and to the right of it.
    lengths = []
    for colour in colours:
        y, x = np.nonzero(mask(sheet, colour))
        side = y.max() - y.min() if colour != colours[1] else 2 * (y.max() - y.min())
        centre, right = (y.min() + y.max()) // 2, x.max()
        bars = mask(sheet[centre - side // 2 : centre + side // 2, right : right + int(1.15 * side)], BLUE)
        lengths.append(bars.any(0).sum() / side)
    assert np.array(lengths) / lengths[3] == pytest.approx([0.9, 0.6, 0.4, 1, 1, 0.5], abs=0.05)


def test_one_face_is_drawn_large(tmp_path):
    face = np.full((100, 100, 3), (30, 200, 30), np.uint8)
    draw_predictions([face], ['me.jpg'], [[0.7, 0.3]], ['happy', 'sad'], tmp_path / 'p.png')
    assert mask(read(tmp_path / 'p.png'), (30, 200, 30)).sum() > 300**2
