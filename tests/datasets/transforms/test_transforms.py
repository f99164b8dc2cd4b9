import cv2
import numpy as np
import pytest
import torch

from mmfer.datasets import LoadFace, PackFace


def dots(points, size):
    """An image of Gaussian dots whose centres of mass are the points."""
    y, x = np.mgrid[: size[0], : size[1]]
    return [np.exp(-((x - a) ** 2 + (y - b) ** 2) / 18) for a, b in points]


def centre_of_mass(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * image).sum(), (y * image).sum()]) / image.sum()


@pytest.mark.parametrize('size', [(60, 40), (30, 90), 25, (200, 260)])
def test_points_stay_on_what_they_mark(size):
    points = np.array([[20.0, 25], [61.5, 30.25], [40, 58]], np.float32)
    for point, dot in zip(points, dots(points, (80, 90)), strict=True):
        image = np.repeat((255 * dot).round().astype(np.uint8)[..., None], 3, axis=2)
        out = LoadFace(size=size)(dict(img=image, landmarks=point[None]))
        shape = (size, size) if isinstance(size, int) else size
        assert out['img'].shape == (*shape, 3)
        assert (out['ori_shape'], out['img_shape']) == ((80, 90), shape)
        np.testing.assert_allclose(out['landmarks'][0], centre_of_mass(out['img'][..., 0].astype(float)), atol=0.1)


def test_stored_size_is_left_alone():
    image, points = np.random.default_rng(0).integers(0, 256, (10, 12, 3), dtype=np.uint8), np.ones((68, 2), np.float32)
    for size in (None, (10, 12)):
        out = LoadFace(size=size)(dict(img=image, landmarks=points))
        assert out['img'] is image
        assert out['landmarks'] is points


def test_shrinking_averages_and_enlarging_interpolates():
    image = np.zeros((4, 4, 3), np.uint8)
    image[::2, ::2] = 200
    assert (LoadFace(size=2)(dict(img=image))['img'] == 50).all()
    ramp = np.tile(np.arange(0, 250, 50, dtype=np.uint8)[None, :, None], (5, 1, 3))
    steps = np.diff(LoadFace(size=20)(dict(img=ramp))['img'][0, 2:-2, 0].astype(int))
    assert steps.max() <= 13  # area averaging would step by 50


def test_reads_bgr_and_packs_it_channels_first(tmp_path):
    path = tmp_path / 'Gesicht ä.png'
    image = np.zeros((3, 5, 3), np.uint8)
    image[..., 0], image[1, 4, 2] = 10, 30
    path.write_bytes(cv2.imencode('.png', image)[1].tobytes())
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    results = dict(
        img_path=str(path),
        gt_label=4,
        sample_idx=9,
        clean_label=2,
        landmarks=points,
        landmark_valid=False,
        gt_score=np.array([0.5, 0.5]),
    )
    out = PackFace()(LoadFace()(results))
    assert out['inputs'].dtype == torch.uint8
    assert np.array_equal(out['inputs'].numpy(), image.transpose(2, 0, 1))
    sample = out['data_samples']
    assert sample.gt_label.tolist() == [4]
    assert (sample.sample_idx, sample.clean_label, sample.img_path) == (9, 2, str(path))
    assert (sample.ori_shape, sample.img_shape) == ((3, 5), (3, 5))
    assert torch.equal(sample.landmarks, torch.from_numpy(points))
    assert not sample.landmark_valid
    assert sample.gt_score.tolist() == [0.5, 0.5]


def test_only_an_image_is_enough_to_pack():
    out = PackFace()(LoadFace()(dict(img=np.zeros((2, 2, 3), np.uint8))))
    assert set(out['data_samples'].keys()) == set()
    assert out['inputs'].shape == (3, 2, 2)


def test_a_grey_picture_becomes_three_channels(tmp_path):
    cv2.imwrite(str(tmp_path / 'grey.png'), np.full((2, 3), 77, np.uint8))
    assert np.array_equal(LoadFace()(dict(img_path=str(tmp_path / 'grey.png')))['img'], np.full((2, 3, 3), 77))


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.jpg is missing; restore it'):
        LoadFace()(dict(img_path=str(tmp_path / 'gone.jpg')))


@pytest.mark.parametrize('size', [0, (3, -1), (1, 2, 3)])
def test_a_senseless_size_is_refused(size):
    with pytest.raises(ValueError, match='size=...'):
        LoadFace(size=size)
