"""Faces in memory: what is taken is the picture that is meant, and the rest is refused with the cure."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmfer.apis.face_arrays import as_face, as_faces

FACE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
GREY = FACE[..., 0]


@pytest.mark.parametrize(
    ('image', 'meant'),
    [
        (FACE, FACE),
        (GREY, np.dstack([GREY] * 3)),
        (GREY[..., None], np.dstack([GREY] * 3)),
        (np.dstack([FACE, GREY]), FACE),
        (FACE[:, ::-1], FACE[:, ::-1]),
        (FACE[:3], FACE[:3]),
    ],
    ids=['BGR', 'grey', 'grey of one channel', 'BGRA', 'a view', 'three rows'],
)
def test_what_is_taken(image, meant):
    np.testing.assert_array_equal(as_face(image), meant)


@pytest.mark.parametrize(
    ('image', 'sentence'),
    [
        (FACE / 255, r'got float64: its values lie in \[.*\], give \(image \* 255\).round\(\).astype\(np.uint8\)'),
        ((FACE / 255).astype(np.float32), 'got float32: .* give .image . 255.'),
        (FACE.astype(np.float32), r'got float32: its values lie in .*, give image.round\(\).astype\(np.uint8\)'),
        ((FACE - 127.0) / 64, 'as it was before it was normalised'),
        (np.full((4, 4, 3), np.nan), 'as it was before it was normalised'),
        (FACE.astype(np.uint16) << 8, r'got uint16: give \(image >> 8\).astype\(np.uint8\)'),
        (FACE.astype(np.int64), r'got int64: give image.astype\(np.uint8\)'),
        (FACE.astype(np.uint16), r'got uint16: give image.astype\(np.uint8\)'),
        (FACE > 100, r'got bool: .* give image.astype\(np.uint8\) \* 255'),
        ((FACE / 255).round().astype(np.uint8), r'values of a face are 0 and 1, .* give \(image \* 255\)\.round'),
        (FACE.transpose(2, 0, 1), r'channels last, .* got \[3, 6, 5\]: give image.transpose\(1, 2, 0\)'),
        (FACE[None], r'must be \[H, W, 3\], .* got \[1, 6, 5, 3\]'),
        (FACE[..., :2], r'must be \[H, W, 3\], .* got \[6, 5, 2\]'),
        (FACE[:0], r'must have pixels, got an empty array \[0, 5, 3\]'),
        (np.empty((0, 0), np.uint8), 'must have pixels'),
        (FACE[0, 0], r'got \[3\]'),
        (torch.zeros(3, 6, 5), 'must be a NumPy array, BGR uint8 .* got a Tensor'),
        (Image.new('RGB', (5, 6)), r'got a Image: .* np.asarray\(image\)\[..., ::-1\]'),
        (None, 'got a NoneType'),
        ('face.jpg', 'got a str: read files with cv2.imread'),
    ],
)
def test_what_is_refused(image, sentence):
    with pytest.raises(ValueError, match=sentence):
        as_face(image)


def test_the_cures_give_the_picture():
    unit, large, deep = FACE / 255, FACE.astype(np.float32), FACE.astype(np.uint16) << 8
    np.testing.assert_array_equal(as_face((unit * 255).round().astype(np.uint8)), FACE)
    np.testing.assert_array_equal(as_face(large.round().astype(np.uint8)), FACE)
    np.testing.assert_array_equal(as_face((deep >> 8).astype(np.uint8)), FACE)
    np.testing.assert_array_equal(as_face(FACE.astype(np.uint16).astype(np.uint8)), FACE)
    assert set(np.unique(as_face((FACE > 100).astype(np.uint8) * 255))) == {0, 255}
    assert not as_face(np.zeros((4, 4), np.uint8)).any()  # a black frame of a film
    np.testing.assert_array_equal(as_face(np.asarray(Image.fromarray(FACE[..., ::-1]))[..., ::-1]), FACE)


@pytest.mark.parametrize('images', [FACE, GREY, FACE.transpose(2, 0, 1), 'faces', None, torch.zeros(2, 3, 4, 4)])
def test_one_face_is_no_list(images):
    with pytest.raises(ValueError, match='give a list of faces'):
        as_faces(images)


def test_lists_and_stacks_are():
    for images in ([FACE], (FACE, GREY), np.stack([FACE, FACE]), np.stack([GREY] * 5), []):
        assert as_faces(images) is images
