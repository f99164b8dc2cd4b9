import cv2
import numpy as np
import pytest

from mmfer.datasets.images.duplicates import CANDIDATE, SAME, digest, nearest, similarity, thumbnail
from mmfer.datasets.synthetic_faces.dataset import draw_columns


@pytest.fixture(scope='module')
def faces() -> np.ndarray:
    images, _ = draw_columns(
        'train', num=60, size=100, seed=5, imbalance=0.5, blend=0.3, difficulty=1.0, faces_per_person=1
    )
    return images


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


CHANGES = {
    'saved as a poor jpeg': lambda image: jpeg(image, 30),
    'half the size': lambda image: cv2.resize(image, (50, 50), interpolation=cv2.INTER_AREA),
    'other proportions': lambda image: cv2.resize(image, (120, 100)),
    'grey': lambda image: np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2),
    'darker': lambda image: (0.7 * image).astype(np.uint8),
    'shifted': lambda image: np.roll(image, 1, axis=1),
}


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_a_changed_picture_is_the_same(faces, change):
    for image in faces[:30]:
        assert thumbnail(image) @ thumbnail(change(image)) > CANDIDATE
        assert similarity(image, change(image)) > SAME
        assert similarity(change(image), image) > SAME


def test_other_faces_are_not(faces):
    pairs = [(i, j) for i in range(60) for j in range(i)]
    assert not [
        pair
        for pair in pairs
        if thumbnail(faces[pair[0]]) @ thumbnail(faces[pair[1]]) > CANDIDATE
        and similarity(faces[pair[0]], faces[pair[1]]) > SAME
    ]


def test_the_digest_is_of_pixels_and_shape(faces):
    assert digest(faces[0]) == digest(faces[0].copy()) == digest(faces[0][:, ::-1][:, ::-1])
    assert digest(faces[0]) != digest(faces[1])
    assert digest(np.zeros((2, 6, 3), np.uint8)) != digest(np.zeros((3, 4, 3), np.uint8))


def test_a_picture_of_one_colour_is_like_no_other(faces):
    flat = thumbnail(np.full((9, 9, 3), 80, np.uint8))
    assert not flat.any()
    assert thumbnail(np.zeros((4, 4, 3), np.uint8)) @ thumbnail(faces[0]) == 0
    assert np.linalg.norm(thumbnail(faces[0])) == pytest.approx(1)


def test_the_nearest_is_found_across_blocks(monkeypatch):
    monkeypatch.setattr('mmfer.datasets.images.duplicates._BLOCK', 7)
    rng = np.random.default_rng(0)
    these, those = (rng.normal(size=(n, 5)).astype(np.float32) for n in (23, 16))
    value, row = nearest(these, those)
    for i in range(23):
        dots = [float(these[i] @ other) for other in those]
        assert row[i] == int(np.argmax(dots))
        assert value[i] == pytest.approx(max(dots), rel=1e-5)
    these /= np.linalg.norm(these, axis=1, keepdims=True)
    value, row = nearest(these)
    assert value[0] == -1  # nothing is earlier
    for i in range(1, 23):
        dots = [float(these[i] @ other) for other in these[:i]]
        assert row[i] == int(np.argmax(dots))
        assert value[i] == pytest.approx(max(dots), rel=1e-5)
