"""The real face-alignment package on weights made here: coordinates, colours, batches, the main face, failures."""

import sys

import face_alignment.api
import face_alignment.utils
import numpy as np
import pytest
import torch
from torch import nn

from mmfer.detectors import FaceAlignmentDetector, FaceAlignmentFaces
from mmfer.detectors.face_alignment import find_peaks
from mmfer.registry import LANDMARK_DETECTORS

FAN, SFD = '2DFAN4-11f355bf06.pth.tar', 's3fd-619a316812.pth'


class BrightestCell(nn.Module):
    """In place of FAN: point k is the brightest cell of colour k % 3 of the crop."""

    def __init__(self, stacks):
        super().__init__()

    def forward(self, crops):
        assert crops.shape[1:] == (3, 256, 256)
        assert 0 <= crops.min() <= crops.max() <= 1
        colours = nn.functional.avg_pool2d(crops, 4)
        return [-colours.repeat(1, 23, 1, 1)[:, :68], colours.repeat(1, 23, 1, 1)[:, :68]]  # the last stack counts


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder of weights, with those of the landmark network; and no network."""

    def no_network(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    monkeypatch.setattr(face_alignment.utils, 'download_url_to_file', no_network)
    monkeypatch.setattr(face_alignment.api, 'FAN', BrightestCell)
    folder = tmp_path / 'checkpoints'
    folder.mkdir()
    torch.save({}, folder / FAN)
    return folder


@pytest.fixture
def sfd(hub):
    """Weights of the face detector that are random."""
    from face_alignment.detection.sfd.net_s3fd import s3fd

    torch.save(s3fd().state_dict(), hub / SFD)


def blobs(places, shape):
    """A red, a green and a blue blob at (x, y), pixel centres at integers; RGB."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18) for u, v in places], axis=-1).astype(np.uint8)


def rgb_blobs(random, shape):
    places = random.uniform(0.2, 0.8, (3, 2)) * shape[::-1]
    return blobs(places, shape), places


@pytest.mark.parametrize('shape', [(100, 100), (280, 300)])
def test_a_known_peak_gives_the_known_pixel(hub, shape):
    detector = FaceAlignmentDetector(face_detector=None, device='cpu')
    random = np.random.default_rng(0)
    images, places = zip(*(rgb_blobs(random, shape) for _ in range(40)), strict=True)
    points, score = detector.detect(images)
    assert points.dtype == score.dtype == np.float32
    assert points.shape == (40, 68, 2)
    error = points[:, :3] - np.array(places)
    cell = sum(shape) * 200 / 195 / 64  # of the heatmap, in pixels
    assert np.abs(error).max() < 0.75 * cell
    # Half a pixel of another convention would show here: the errors of the cells' grid are without direction.
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.08 * cell
    assert np.array_equal(points[:, 3:66], np.tile(points[:, :3], (1, 21, 1)))
    assert (score > 0.2).all()


def test_it_agrees_with_the_packages_own_reading_up_to_its_rounding(hub, monkeypatch):
    for name in ('_get_preds_fromhm', 'transform_np'):  # numba takes ten seconds to compile them, Python one to run
        monkeypatch.setattr(face_alignment.utils, name, getattr(face_alignment.utils, name).py_func)
    package = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device='cpu', flip_input=False, compile=False, face_detector='folder'
    )
    detector = FaceAlignmentDetector(face_detector=None, device='cpu')
    random = np.random.default_rng(1)
    for _ in range(5):
        image, _ = rgb_blobs(random, (120, 110))
        box = np.array([12.0, 8, 101, 113])
        theirs = package.get_landmarks_from_image(image, detected_faces=[box])[0]
        ours = detector.find_points([image], box[None])[0][0]
        # The package's crop and points are whole pixels, and its grid is that of cells of 3 pixels.
        assert np.abs(theirs - ours).max() < 2.5


def test_a_batch_gives_what_each_image_alone_gives(sfd):
    """With an SFD of random weights, which sees many faces; and images of three sizes in turn."""
    detector = FaceAlignmentDetector(device='cpu')
    random = np.random.default_rng(2)
    images = [
        random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        for shape in ((48, 48), (64, 48), (20, 15), (64, 48), (48, 48))
    ]
    together = detector.find_boxes(images)
    alone = [detector.find_boxes([image])[0] for image in images]
    assert sum(map(len, alone)) > 10
    assert len({boxes.tobytes() for boxes in alone}) == 5
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=0.01)
    points, score = detector.detect(images)
    for row, image in enumerate(images):
        single, single_score = detector.detect([image])
        np.testing.assert_allclose(points[row], single[0], atol=0.01)
        np.testing.assert_allclose(score[row], single_score[0], atol=1e-5)


def test_one_batch_for_the_images_of_one_size(sfd, monkeypatch):
    detector = FaceAlignmentDetector(device='cpu')
    seen = []
    monkeypatch.setattr(
        detector.faces.network,
        'detect_from_batch',
        lambda batch: seen.append(tuple(batch.shape)) or [[(1, 1, 50, 50, 0.9)]] * len(batch),
    )
    crops = []
    network = detector.network
    detector.network = lambda batch: crops.append(len(batch)) or network(batch)
    detector.detect([np.zeros((80, 70, 3), np.uint8)] * 5 + [np.zeros((80, 60, 3), np.uint8)] * 2)
    assert seen == [(5, 3, 80, 70), (2, 3, 80, 60)]
    assert crops == [7]


def searching(detector, detect_from_batch):
    """With a face detector whose network is this function."""
    from face_alignment.detection.core import FaceDetector

    class Network(FaceDetector):
        reference_scale = 195
        detect_from_image = None

    detector.faces = FaceAlignmentFaces.__new__(FaceAlignmentFaces)
    detector.faces.network = Network('cpu', False)
    detector.faces.network.detect_from_batch = detect_from_batch
    return detector


def with_boxes(detector, *found):
    found = iter(found)
    return searching(detector, lambda batch: [next(found) for _ in batch])


def test_the_main_face_is_large_and_central(hub):
    detector = FaceAlignmentDetector(face_detector=None, device='cpu')
    image, places = np.zeros((200, 200, 3), np.uint8), ((30, 30), (100, 100), (165, 165))
    for u, v in places:
        image += blobs([(u, v)] * 3, image.shape[:2])
    corner, middle, large = (10, 10, 50, 50, 0.9), (80, 80, 120, 120, 0.9), (130, 130, 200, 200, 0.99)
    nothing, broken = [], [(50, 50, 50, 60, 1), (np.nan, 0, 10, 10, 1)]
    with_boxes(detector, [corner, middle], [middle, corner], [corner, large], nothing, broken)
    points, score = detector.detect([image] * 5)
    np.testing.assert_allclose(points[:3, 0], [places[1], places[1], places[2]], atol=1.5)
    assert (score[:3] > 0).all()
    assert not score[3:].any()
    assert not points[3:].any()


def test_large_photos_are_searched_small_and_answered_in_their_own_pixels(hub):
    detector = FaceAlignmentDetector(face_detector=None, device='cpu')
    seen = []

    def detect(batch):
        seen.append(tuple(batch.shape))
        return [[(300, 100, 400, 200, 0.9)]]

    searching(detector, detect)
    photo = np.zeros((1000, 2560, 3), np.uint8)
    photo[300:340, 700:740] = 255  # centre 319.5, 719.5
    points, _ = detector.detect([photo])
    assert seen == [(1, 3, 500, 1280)]
    np.testing.assert_allclose(points[0, 0], [719.5, 319.5], atol=18)
    np.testing.assert_allclose(detector.find_boxes([photo])[0], [[600, 200, 800, 400]])


def test_a_face_detector_without_batches(hub):
    """As dlib's."""
    from face_alignment.detection.core import FaceDetector

    class OneByOne(FaceDetector):
        def detect_from_image(self, image):
            return [[1, 2, 30, image.shape[0]]]

    detector = FaceAlignmentDetector(face_detector=None, device='cpu')
    searching(detector, None).faces.network = OneByOne('cpu', False)
    assert detector.find_boxes([np.zeros((40, 40, 3), np.uint8)] * 2)[1].tolist() == [[1, 2, 30, 40]]


def test_peaks_against_a_loop():
    heatmaps = np.random.default_rng(3).normal(size=(3, 5, 8, 8))
    heatmaps[0, 0, 0, 4] = heatmaps[0, 1, 7, 7] = heatmaps[0, 2, 3, 0] = 9  # at the border nothing is moved
    found, height = find_peaks(heatmaps)
    for i, j in np.ndindex(3, 5):
        heatmap = heatmaps[i, j]
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        expected = [x, y]
        if 0 < x < 7 and 0 < y < 7:
            expected = [
                x + (0.25 if heatmap[y, x + 1] > heatmap[y, x - 1] else -0.25),
                y + (0.25 if heatmap[y + 1, x] > heatmap[y - 1, x] else -0.25),
            ]
        assert found[i, j].tolist() == expected
        assert height[i, j] == heatmap[y, x]
    assert found[0, :3].tolist() == [[4, 0], [7, 7], [0, 3]]


def test_weights_that_are_missing(hub):
    with pytest.raises(
        FileNotFoundError,
        match=r'needs the weights .*no route to host.* put s3fd-619a316812\.pth '
        r'\(from https://.*\) into .*checkpoints$',
    ) as caught:
        FaceAlignmentDetector(device='cpu')
    assert FAN not in str(caught.value), 'only what is missing is named'
    (hub / FAN).unlink()
    with pytest.raises(FileNotFoundError, match=FAN):
        FaceAlignmentDetector(None, device='cpu')
    torch.save({}, hub / FAN)
    with pytest.raises(FileNotFoundError, match=r"face_detector='yunet' cannot be fetched here \(no route"):
        FaceAlignmentDetector('yunet', device='cpu')


def test_blazeface_reads_its_weights_by_path(hub):
    """With weights that see one face, in the middle half of any picture."""
    from face_alignment.detection.blazeface.net_blazeface import BlazeFace

    weights = {name: torch.zeros_like(value) for name, value in BlazeFace().state_dict().items()}
    for stride in (8, 16):
        weights[f'classifier_{stride}.bias'][:] = 9
        weights[f'regressor_{stride}.bias'].view(-1, 16)[:, 2:4] = 64  # of 128, width and height
    torch.save(weights, hub / 'blazeface.pth')
    np.save(hub / 'anchors.npy', np.tile(np.float32([0.5, 0.5, 1, 1]), (896, 1)))
    detector = FaceAlignmentDetector('blazeface', device='cpu')
    for boxes in detector.find_boxes([np.zeros((64, 64, 3), np.uint8)] * 2):
        np.testing.assert_allclose(boxes, [[16, 16, 48, 48]], atol=0.1)


@pytest.mark.parametrize('name', ['sdf', 'folder'])
def test_a_face_detector_that_there_is_not(hub, name):
    with pytest.raises(ValueError, match=f"no face detector '{name}'; choose one of sfd, blazeface, .*, or None"):
        FaceAlignmentDetector(name, device='cpu')


def test_a_face_detector_whose_package_is_missing(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ValueError, match=r"face_detector='scrfd' cannot be used here: .*onnxruntime"):
        FaceAlignmentDetector('scrfd', device='cpu')


def test_it_is_registered(hub):
    built = LANDMARK_DETECTORS.build(dict(type='mmfer.FaceAlignmentDetector', face_detector=None, device='cpu'))
    assert isinstance(built, FaceAlignmentDetector)
