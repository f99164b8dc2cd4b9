"""Alignment: the geometry against known transforms and OpenCV, and the real face-alignment package on made weights."""

import cv2
import face_alignment.api
import numpy as np
import pytest
import torch
from miniature import face_points

from mmfer.apis.data.alignment import TEMPLATES, FaceAligner, align
from mmfer.detectors.warp import similarity, warp

PACKAGE = dict(type='mmfer.FaceAlignmentDetector')
TEMPLATE = np.array(TEMPLATES['rafdb'].points)


def rotation(angle, scale, shift):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def move(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_similarity_is_recovered():
    points = np.array([[10.0, 20], [40, 18], [26, 55]])
    matrix = rotation(0.4, 1.7, (30, -8))
    np.testing.assert_allclose(similarity(points, move(matrix, points)), matrix, atol=1e-9)


def test_a_similarity_has_the_least_squared_error_and_no_reflection():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 5, 2)) * 20
    best = similarity(source, target)
    error = np.square(move(best, source) - target).sum()
    for _ in range(200):
        nudge = rotation(rng.normal() * 0.05, 1 + rng.normal() * 0.05, rng.normal(size=2))
        other = np.column_stack([nudge[:, :2] @ best[:, :2], nudge[:, :2] @ best[:, 2] + nudge[:, 2]])
        assert np.square(move(other, source) - target).sum() >= error
    assert np.linalg.det(similarity(source, source * (-1, 1))[:, :2]) > 0


def photo_with_dots(angle, scale, shift, size=(600, 800)):
    """Landmarks of a turned face in a photo, with a dot on each eye centre and on the middle of the mouth."""
    points = move(rotation(angle, scale, shift), face_points().astype(np.float64) * 100)
    anchors = [points[36:42].mean(0), points[42:48].mean(0), points[[48, 54]].mean(0)]
    photo = np.full((*size, 3), 90, np.uint8)
    for anchor, channel in zip(anchors, range(3), strict=True):
        colour = [90, 90, 90]
        colour[channel] = 255
        cv2.circle(photo, np.round(anchor * 16).astype(int).tolist(), round(scale * 4 * 16), colour, -1, cv2.LINE_AA, 4)
    return photo, points


def find_dots(crop):
    """Centre of each dot, weighted by its brightness above the ground."""
    y, x = np.mgrid[: crop.shape[0], : crop.shape[1]]
    found = []
    for channel in range(3):
        weight = np.clip(crop[..., channel].astype(float) - crop[..., (channel + 1) % 3] - 30, 0, None)
        found.append((np.sum(x * weight) / weight.sum(), np.sum(y * weight) / weight.sum()))
    return np.array(found)


@pytest.mark.parametrize('size', [100, 224])
@pytest.mark.parametrize(('angle', 'scale'), [(0, 1), (0.5, 1.3), (-0.4, 3.5), (3, 0.7)])
def test_eyes_and_mouth_land_where_the_training_faces_have_them(angle, scale, size):
    shift = (400, 300) - rotation(angle, scale, (0, 0))[:, :2] @ (50, 55)
    photo, points = photo_with_dots(angle, scale, shift)
    dots = find_dots(align(photo, points, size))
    expected = TEMPLATE * size - 0.5
    # The drawn face is no scaled template: the best similarity leaves what it leaves, the same for any pose.
    anchors = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[[48, 54]].mean(0)])
    landed = move(similarity(anchors, expected), anchors)
    np.testing.assert_allclose(dots, landed, atol=0.02 * size / 2)
    np.testing.assert_allclose(landed, expected, atol=0.05 * size)
    assert dots[0, 0] < dots[1, 0], 'the eye at the left of the picture stays there'


class Detector:
    """Stands in for the package: finds these faces in any picture."""

    def __init__(self, faces):
        self.faces, self.seen = faces, None

    def find_boxes(self, images):
        (self.seen,) = images
        return [np.array([[*face.min(0), *face.max(0)] for face in self.faces]).reshape(-1, 4)]

    def find_points(self, images, boxes):
        assert len(images) == len(boxes)
        face_of = {tuple(face.min(0)): face for face in self.faces}
        return np.stack([face_of[tuple(box[:2])] for box in boxes]), np.ones(len(boxes))


def test_faces_come_from_left_to_right_in_pixels_of_the_photo():
    photo = np.zeros((1000, 2560, 3), np.uint8)
    photo[..., 2] = 200  # red
    right, left = (face_points().astype(np.float64) * 200 + (x, 400) for x in (1800, 600))
    detector = Detector([right, left])
    faces = FaceAligner(size=64, detector=detector)(photo)
    assert detector.seen.shape == photo.shape
    assert detector.seen[0, 0].tolist() == [200, 0, 0], 'detectors want RGB'
    assert [face.crop.shape for face in faces] == [(64, 64, 3)] * 2
    assert [face.crop[32, 32].tolist() for face in faces] == [[0, 0, 200]] * 2
    assert faces[0].box[0] == pytest.approx(left[:, 0].min(), abs=1)
    assert faces[1].box[2] == pytest.approx(right[:, 0].max(), abs=1)


def test_a_photo_without_faces_gives_none():
    assert FaceAligner(detector=Detector([]))(np.zeros((50, 50, 3), np.uint8)) == []


def test_all_faces_of_a_crowd_are_cut_out():
    faces = [face_points() * 20 + (25 * i, 3) for i in range(37)]
    found = FaceAligner(size=16, detector=Detector(faces))(np.zeros((40, 1000, 3), np.uint8))
    assert [face.box[0] for face in found] == [round(float(face[:, 0].min())) for face in faces]


def test_arcface_has_eyes_nose_and_mouth_where_insightface_puts_them():
    """Its 112 px template in pixels, as `arcface_dst` there."""
    expected = np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    )
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[[30, 48, 54]] = expected[0], expected[1], expected[2:]
    np.testing.assert_allclose(TEMPLATES['arcface112'].matrix(points, 112), [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    # At twice the size the border is twice as far away, and centres of pixels still lie at integers.
    np.testing.assert_allclose(TEMPLATES['arcface112'].matrix(points, 224), [[2, 0, 0.5], [0, 2, 0.5]], atol=1e-9)


@pytest.mark.parametrize('scale', [0.2, 0.37, 0.5, 0.61, 0.8])
def test_shrinking_averages_instead_of_skipping(scale):
    board = np.indices((200, 200)).sum(0) % 2 * 255
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    small = warp(image, np.array([[scale, 0, 0], [0, scale, 0]]), int(200 * scale) - 4)[2:, 2:]
    tolerance = 10 if scale <= 0.5 else 64
    assert np.abs(small.astype(float) - 127.5).max() < tolerance


@pytest.mark.parametrize('scale', [0.31, 0.77, 1, 2.3])
def test_a_point_stays_on_its_spot_through_a_warp(scale):
    """Half a pixel of another convention would move it by more than the tolerance."""
    random = np.random.default_rng(0)
    errors = []
    for _ in range(20):
        spot, angle = random.uniform(60, 140, 2), random.uniform(-3, 3)
        y, x = np.mgrid[:200, :211]
        weight = np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 2 / 9)
        image = np.repeat((weight * 255)[..., None], 3, axis=2).astype(np.uint8)
        matrix = rotation(angle, scale, (0, 0))
        matrix[:, 2] = random.uniform(40, 60, 2) - matrix[:, :2] @ spot
        found = warp(image, matrix, 100)[..., 0].astype(float)
        y, x = np.mgrid[:100, :100]
        centre = np.array([(x * found).sum(), (y * found).sum()]) / found.sum()
        errors.append(centre - move(matrix, spot))
    assert np.abs(np.mean(errors, 0)).max() < 0.06
    assert np.abs(errors).max() < 0.2


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))

    def no_network(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    return tmp_path / 'checkpoints'


def test_without_weights_it_says_which_files_belong_where(hub):
    with pytest.raises(FileNotFoundError) as caught:
        FaceAligner(detector=PACKAGE)
    sentence = str(caught.value)
    for part in ('s3fd-619a316812.pth', '2DFAN4-11f355bf06.pth.tar', str(hub), 'leave --align out', 'https://'):
        assert part in sentence
    assert '\n' not in sentence


def test_only_what_is_missing_is_named(hub):
    hub.mkdir()
    (hub / 's3fd-619a316812.pth').touch()
    with pytest.raises(FileNotFoundError, match=r'put 2DFAN4-11f355bf06\.pth\.tar \(from') as caught:
        FaceAligner(detector=PACKAGE)
    assert 's3fd' not in str(caught.value)


def test_the_real_package_runs_on_weights_made_here(hub, monkeypatch):
    """One stack of FAN with random weights; an SFD that sees one face at the only cell of its coarsest map."""
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    monkeypatch.setattr(face_alignment.api, 'FAN', lambda stacks: FAN(1))
    hub.mkdir()
    detector = {name: torch.zeros_like(value) for name, value in s3fd().state_dict().items()}
    for name, value in detector.items():
        if name.endswith('conf.bias'):
            value[-1 if 'conv7_2' in name else 0] = 9.0  # background everywhere but there
    torch.save(detector, hub / 's3fd-619a316812.pth')
    torch.save(FAN(1).state_dict(), hub / '2DFAN4-11f355bf06.pth.tar')

    photo = np.random.default_rng(0).integers(0, 255, (90, 80, 3), dtype=np.uint8)
    faces = FaceAligner(size=48)(photo)

    assert len(faces) >= 1
    for face in faces:
        assert face.crop.shape == (48, 48, 3)
        assert face.box[2] - face.box[0] == pytest.approx(512, abs=2)  # the prior of that map, unmoved
