"""Landmarks of any ONNX network, with networks made here."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mmfer.detectors import OnnxLandmarks
from mmfer.registry import LANDMARK_DETECTORS


def network(path, weight, bias, size=8):
    """Writes a linear map of a crop's pixels [3 * size * size, K] as a network."""
    nodes = [
        helper.make_node('Flatten', ['x'], ['flat']),
        helper.make_node('Gemm', ['flat', 'weight', 'bias'], ['y']),
    ]
    graph = helper.make_graph(
        nodes,
        'linear',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, bias.size])],
        [numpy_helper.from_array(v.astype(np.float32), name) for v, name in ((weight, 'weight'), (bias, 'bias'))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), path)
    return path


@pytest.fixture
def places(tmp_path):
    """One that gives the same points of any crop, in its sides."""
    points = np.random.default_rng(0).random((68, 2))
    return network(tmp_path / 'places.onnx', np.zeros((192, 136)), points.reshape(-1)), points


@pytest.mark.parametrize('unit', [True, False])
def test_points_of_the_crop_become_pixels_of_the_image(tmp_path, unit):
    points = np.random.default_rng(0).random((68, 2))
    file = network(tmp_path / 'n.onnx', np.zeros((192, 136)), points.reshape(-1) * (1 if unit else 8))
    detector = OnnxLandmarks(file, size=8, face_detector=None, around=1.5, unit=unit)
    image = np.zeros((100, 90, 3), np.uint8)
    box = np.array([[20.0, 30, 60, 70]])  # a square of 60 around (40, 50): from 10 to 70, from 20 to 80
    found, score = detector.find_points([image], box)
    np.testing.assert_allclose(found[0], np.array([10, 20]) + 60 * points - 0.5, atol=1e-4)
    assert score.tolist() == [1]
    whole, _ = OnnxLandmarks(file, size=8, face_detector=None, around=1, unit=unit).detect(
        [np.zeros((80, 80, 3), 'u1')]
    )
    np.testing.assert_allclose(whole[0], 80 * points - 0.5, atol=1e-4)


@pytest.mark.parametrize('rgb', [True, False])
def test_pixels_are_scaled_as_it_was_told(tmp_path, rgb):
    weight = np.zeros((192, 136))
    weight[::64][:, :3] = np.eye(3)  # the first pixel of each channel is written to the first numbers
    weight[[0, 64, 128], [0, 1, 2]] = 1
    file = network(tmp_path / 'n.onnx', weight, np.zeros(136))
    settings = dict(size=8, face_detector=None, around=1, rgb=rgb, unit=False)
    image = np.full((8, 8, 3), (255, 51, 102), np.uint8)
    found, _ = OnnxLandmarks(file, mean=(0.5, 0, 0.1), std=(0.5, 1, 2), **settings).detect([image])
    channels = np.array([1, 0.2, 0.4]) if rgb else np.array([0.4, 0.2, 1])
    expected = (channels - [0.5, 0, 0.1]) / [0.5, 1, 2]
    np.testing.assert_allclose(found.reshape(-1)[:3] + 0.5, expected, atol=1e-5)


def test_another_face_detector_is_a_config(places):
    file, _ = places
    settings = dict(face_detector=dict(type='mmfer.DlibFaces', smallest=80), size=8)
    with pytest.raises((TypeError, ValueError), match='smalest'):
        OnnxLandmarks(file, size=8, face_detector=dict(type='mmfer.DlibFaces', smalest=80))
    pytest.importorskip('dlib')
    assert OnnxLandmarks(file, **settings).faces.enlarge == 1


def test_files_that_cannot_be_used(tmp_path, places):
    with pytest.raises(FileNotFoundError, match=r'OnnxLandmarks: there is no file .*none\.onnx'):
        OnnxLandmarks(tmp_path / 'none.onnx')
    text = tmp_path / 'text.onnx'
    text.write_bytes(b'no network')
    with pytest.raises(ValueError, match=r'OpenCV cannot read .*text\.onnx as ONNX'):
        OnnxLandmarks(text, face_detector=None)
    many = network(tmp_path / 'many.onnx', np.zeros((192, 196)), np.zeros(196))
    with pytest.raises(ValueError, match=r'many\.onnx gives 196 numbers .*, and 68 landmarks are 136'):
        OnnxLandmarks(many, size=8, face_detector=None)
    with pytest.raises(ValueError, match=r'places\.onnx does not run on crops of 16 x 16 pixels .*its own size='):
        OnnxLandmarks(places[0], size=16, face_detector=None)


def test_it_is_registered(places):
    config = dict(type='mmfer.OnnxLandmarks', file=str(places[0]), size=8, face_detector=None)
    assert isinstance(LANDMARK_DETECTORS.build(config), OnnxLandmarks)
