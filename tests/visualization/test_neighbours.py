"""The picture of neighbours is read back: frames, bars and rows are where they must be."""

import cv2
import numpy as np
import pytest

from mmfer.visualization import LabelledFace, draw_neighbours
from mmfer.visualization.learning_curves import COLOURS

CLASSES = ('surprise', 'fear', 'happiness')
PINK, LIME = (255, 0, 255), (0, 255, 0)  # no text has these, smoothed or not


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def read(path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image[..., ::-1].astype(int)


def mask(image: np.ndarray, colour, tolerance=4) -> np.ndarray:
    return (np.abs(image - colour) <= tolerance).all(-1)


def face(label: int, shade=PINK, clean: int = -1) -> LabelledFace:
    return LabelledFace(np.full((20, 20, 3), shade, np.uint8), label, clean)


@pytest.fixture
def draw(tmp_path):
    def draw(faces, others, distribution, **kwargs) -> np.ndarray:
        path = draw_neighbours(faces, others, np.asarray(distribution), CLASSES, tmp_path / 'new' / 'n.png', **kwargs)
        return read(path)

    return draw


def test_frames_are_of_the_class_and_bars_as_long_as_their_share(draw):
    shares = [[0.5, 0.1, 0.4], [0, 0.8, 0.2]]
    picture = draw([face(0), face(2)], {'near': [[face(1, LIME)] * 3, [face(0, LIME)] * 3]}, shares)
    middle = len(picture) // 2
    for row, (own, other) in enumerate(((0, 1), (2, 0))):
        half = picture[row * middle : (row + 1) * middle]
        ys, xs = np.nonzero(mask(half, PINK))  # the face itself, left
        left = half[ys.min() - 5 : ys.max() + 6, max(xs.min() - 5, 0) : xs.max() + 6]
        assert mask(left, rgb(COLOURS[own])).sum() > 300
        assert mask(left, rgb(COLOURS[other])).sum() == 0
        ys, xs = np.nonzero(mask(half, LIME))
        others = half[ys.min() - 3 : ys.max() + 4, xs.min() - 3 : xs.max() + 4]
        assert mask(others, rgb(COLOURS[other])).sum() > 600  # three frames
        assert mask(others, rgb(COLOURS[own])).sum() == 0
        bars = half[:, xs.max() + 6 :]
        lengths = [mask(bars, rgb(COLOURS[k])).any(0).sum() / (1.1 * 110) for k in range(3)]
        assert lengths == pytest.approx(shares[row], abs=0.03)


def test_marks_of_observed_and_clean_labels_stand_at_their_bars(draw):
    def ink_right_of_the_bars(observed, clean):
        picture = draw([face(observed, clean=clean)], {}, [[1 / 3] * 3])
        edge = np.nonzero(mask(picture, rgb(COLOURS[0])) & (np.arange(picture.shape[1]) > 200))[1].max()
        top, bottom = (np.nonzero(mask(picture, PINK))[0][i] for i in (0, -1))
        right = (picture[:, edge + 110 :].max(-1) < 120)[top - 3 : bottom + 4]
        return [int(part.sum()) for part in np.array_split(right, 3)]

    first, second, third = ink_right_of_the_bars(observed=0, clean=2)
    assert first > 50
    assert third > 50
    assert second == 0
    first, second, third = ink_right_of_the_bars(observed=1, clean=-1)
    assert second > 50
    assert first == third == 0


def test_a_clean_label_that_differs_is_written_below_the_face(draw):
    def ink_below(clean):
        picture = draw([face(0)], {'near': [[face(1, LIME, clean)]]}, [[1, 0, 0]])
        ys, xs = np.nonzero(mask(picture, LIME))
        return (picture[ys.max() + 6 :, xs.min() : xs.max() + 1].max(-1) < 160).sum()

    assert ink_below(clean=-1) == ink_below(clean=1) > 20
    assert ink_below(clean=2) > 1.5 * ink_below(clean=1)


def test_a_true_share_is_a_tick_in_its_bar(draw):
    plain = draw([face(0)], {}, [[0.5, 0.3, 0.2]])
    known = LabelledFace(face(0).picture, 0, truth=np.array([0.8, 0.2, 0.0]))
    ticked = draw([known], {}, [[0.5, 0.3, 0.2]])
    ys, xs = np.nonzero((plain != ticked).any(-1))
    bar = np.nonzero(mask(plain, rgb(COLOURS[1])))
    left, boundary = bar[1].min(), np.median(bar[0]) - 110 / 6  # half a bar above its middle
    for part, share in ((xs[ys < boundary], 0.8), (xs[ys > boundary], 0.2)):
        assert (part.mean() - left) / (1.1 * 110) == pytest.approx(share, abs=0.02)
