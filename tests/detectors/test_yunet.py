"""YuNet's file, and what is made of OpenCV's answer; in place of OpenCV's class, as the weights cannot be had here."""

import cv2
import numpy as np
import pytest
import torch

from mmfer.detectors import YuNetFaces
from mmfer.detectors.yunet_faces import ADDRESS, SHA256
from mmfer.registry import FACE_DETECTORS

# x, y, width, height; right eye, left eye, nose, right and left corner of the mouth of the person; score
FACE = [40, 60, 20, 30, 44, 70, 56, 70, 50, 76, 45, 84, 55, 84, 0.9]


class Network:
    """What `cv2.FaceDetectorYN` does."""

    def __init__(self, faces):
        self.faces, self.seen = faces, []

    def setInputSize(self, size):
        self.size = size

    def detect(self, image):
        assert image.shape[:2] == self.size[::-1], 'OpenCV refuses another size than the one it was told'
        assert image.flags.c_contiguous
        self.seen.append(image)
        return 1, None if self.faces is None else np.array(self.faces, dtype=np.float32)


@pytest.fixture
def create(tmp_path, monkeypatch):
    """Makes the detector, with what its network sees."""
    file = tmp_path / 'yunet.onnx'
    file.write_bytes(b'x')

    def make(faces, **settings):
        network = Network(faces)
        monkeypatch.setattr(cv2.FaceDetectorYN, 'create', lambda *args: network)
        return YuNetFaces(file, **settings), network

    return make


def test_boxes_and_points_in_pixels_of_the_picture(create):
    detector, network = create([FACE, [0, 0, np.nan, 4, *[0] * 10, 0.8]])
    red = np.zeros((100, 120, 3), np.uint8)
    red[..., 0] = 255
    (found,) = detector.detect([red])
    assert network.seen[0].shape == (200, 240, 3), 'enlarged twice'
    assert network.seen[0][0, 0].tolist() == [0, 0, 255], 'OpenCV wants BGR'
    np.testing.assert_allclose(found.boxes, [[20, 30, 30, 45]])  # the broken one is left out
    np.testing.assert_allclose(found.points, [[[22, 35], [28, 35], [25, 38], [22.5, 42], [27.5, 42]]])
    np.testing.assert_allclose(found.score, [0.9])


def test_large_pictures_are_searched_smaller(create):
    detector, network = create([FACE])
    (found,) = detector.detect([np.zeros((640, 2560, 3), np.uint8)])
    assert network.seen[0].shape == (320, 1280, 3)
    np.testing.assert_allclose(found.boxes, [[80, 120, 120, 180]])


def test_a_picture_without_faces(create):
    detector, _ = create(None)
    (found,) = detector.detect([np.zeros((40, 40, 3), np.uint8)])
    assert found.boxes.shape == (0, 4)


def test_it_is_fetched_once_with_its_hash(tmp_path, monkeypatch):
    asked = []

    def fetch(url, path, hash_prefix):
        asked.append((url, hash_prefix))
        with open(path, 'wb') as stream:
            stream.write(b'model')

    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    monkeypatch.setattr(cv2.FaceDetectorYN, 'create', lambda *args: Network(None))
    for _ in range(2):
        YuNetFaces()
    assert asked == [(ADDRESS, SHA256)]


@pytest.mark.parametrize('error', [OSError('no route to host'), RuntimeError('invalid hash value')])
def test_where_it_cannot_be_fetched_it_says_what_belongs_where(tmp_path, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(
        FileNotFoundError,
        match=rf'cannot be fetched here \({error}\): put face_detection_yunet_2023mar\.onnx \(from https.*\) into '
        r'.*checkpoints, or name it by file=\.\.\.',
    ):
        YuNetFaces()


def test_a_file_that_is_missing_or_no_model(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'there is no file .*none\.onnx: give YuNetFaces the \.onnx'):
        YuNetFaces(tmp_path / 'none.onnx')
    file = tmp_path / 'text.onnx'
    file.write_bytes(b'<html>' * 50)
    with pytest.raises(ValueError, match=r'OpenCV cannot run .*text\.onnx as YuNet \(.*\): fetch it anew from https'):
        FACE_DETECTORS.build(dict(type='mmfer.YuNetFaces', file=str(file)))
