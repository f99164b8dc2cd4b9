"""A pipeline that moves pictures and not their landmarks is refused when its dataset is read."""

import random
import re

import cv2
import numpy as np
import pytest
import torch
from layouts import LAYOUTS
from miniature import make_rafdb
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS, DefaultScope

from mmfer.datasets import RAFDB, ExpW, SyntheticFaces
from mmfer.datasets.landmarks.landmark_file import write_landmarks
from mmfer.datasets.transforms.load_face import move_points
from mmfer.structures.dotted_faces import frontal_face
from mmfer.structures.landmark_sets import MIRROR_68

LOAD, PACK = dict(type='mmfer.LoadFace'), dict(type='mmfer.PackFace')
EIGEN = dict(eigval=[55.46, 4.79, 1.15], eigvec=[[-0.57, 0.72, 0.4], [-0.58, 0.0, -0.81], [-0.58, -0.69, 0.42]])
ERASE = dict(type='RandomErasing', erase_prob=0.3)
MOVE = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomFlip', prob=0.01),
    dict(type='RandomFlip', prob=[0.3, 0.3], direction=['horizontal', 'vertical']),
    dict(type='CenterCrop', crop_size=56),
    dict(type='RandomCrop', crop_size=64, padding=4),
    dict(type='RandomResizedCrop', scale=64),
    dict(type='EfficientNetCenterCrop', crop_size=56),
    dict(type='EfficientNetRandomCrop', scale=64),
    dict(type='Resize', scale=96),
    dict(type='ResizeEdge', scale=80),
    dict(type='RandomResize', scale=(64, 64), ratio_range=(0.8, 1.2)),
    dict(type='Rotate', angle=20.0, prob=0.2),
    dict(type='Shear', magnitude=0.2),
    dict(type='Translate', magnitude=0.1),
    dict(type='RandomTranslatePad', size=80),
    dict(type='RandAugment', policies='timm_increasing', num_policies=2, total_level=10, magnitude_level=7),
    dict(type='AutoAugment', policies='imagenet'),
    dict(type='mmcv.Resize', scale=(96, 96)),
    dict(type='mmcv.RandomFlip', prob=0.5),
    dict(type='mmcv.RandomApply', transforms=[dict(type='RandomFlip', prob=0.05)], prob=0.05),
    dict(type='mmcv.RandomChoice', transforms=[[dict(type='ColorJitter')], [dict(type='RandomFlip', prob=1.0)]]),
    dict(type='mmcv.RandomChoiceResize', scales=[(72, 72), (80, 80)]),
]
COLOUR = [
    dict(type='AutoContrast'),
    dict(type='Brightness', magnitude=0.3),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
    dict(type='ColorTransform', magnitude=0.3),
    dict(type='Contrast', magnitude=0.3),
    dict(type='Cutout', shape=16),
    dict(type='Equalize'),
    dict(type='GaussianBlur', radius=1.0),
    dict(type='Invert'),
    dict(type='Lighting', **EIGEN),
    dict(type='Posterize', bits=4),
    ERASE,
    dict(type='RandomGrayscale', prob=0.1),
    dict(type='Sharpness', magnitude=0.5),
    dict(type='Solarize', thr=128),
    dict(type='SolarizeAdd', magnitude=30),
    dict(type='mmcv.Normalize', mean=[0, 0, 0], std=[255, 255, 255]),
    dict(type='mmcv.Pad', size=(80, 80)),  # at the right and below
]


@TRANSFORMS.register_module()
class OfTheTest(BaseTransform):
    """What somebody's own step may do, right or wrong."""

    def __init__(self, does):
        self.does = does

    def transform(self, results):
        image, points = results['img'], results['landmarks']
        width = image.shape[1]
        if self.does == 'mirror both':
            points = np.stack([width - 1 - points[:, 0], points[:, 1]], axis=1)[list(MIRROR_68)]
            return {**results, 'img': image[:, ::-1].copy(), 'landmarks': points}
        if self.does == 'mirror both, sides stay':
            points = np.stack([width - 1 - points[:, 0], points[:, 1]], axis=1)
            return {**results, 'img': image[:, ::-1].copy(), 'landmarks': points}
        if self.does == 'align':  # by its landmarks: the eyes to their places
            eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
            matrix, _ = cv2.estimateAffinePartial2D(eyes, np.array([[20, 24], [44, 24]], np.float32))
            moved = points @ matrix[:, :2].T + matrix[:, 2]
            image = cv2.warpAffine(image, matrix, (64, 64))
            return {**results, 'img': image, 'landmarks': moved.astype(np.float32)}
        if self.does == 'own numbers':
            noise = np.random.default_rng().integers(0, 9, image.shape, dtype=np.uint8)
            return {**results, 'img': image // 2 + noise}
        if self.does == 'fail on drawn faces':
            if image.std() < 30:
                raise RuntimeError('no face')
            return results
        if self.does == 'shrink':
            return {**results, 'img': cv2.resize(image, (32, 32))}
        return results


@TRANSFORMS.register_module()
class ReaderOfTheTest(BaseTransform):
    """Reads a face from its file, and does something to it."""

    def __init__(self, does):
        self.does = does

    def transform(self, results):
        image, points = cv2.imread(results['img_path']), results['landmarks']
        if 'half' in self.does:
            size = image.shape[0] // 2, image.shape[1] // 2
            points = move_points(points, image.shape[:2], size) if 'moved' in self.does else points
            image = cv2.resize(image, size[::-1])
        if 'mirror' in self.does:
            moved = np.stack([image.shape[1] - 1 - points[:, 0], points[:, 1]], axis=1)[list(MIRROR_68)]
            image, points = image[:, ::-1].copy(), moved if 'moved' in self.does else points
        return {**results, 'img': image, 'landmarks': points, 'img_shape': image.shape[:2]}


@TRANSFORMS.register_module()
class CounterOfTheTest(BaseTransform):
    def __init__(self):
        self.count = 0

    def transform(self, results):
        self.count += 1
        return results


def faces(*steps, kind=SyntheticFaces, **settings):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return kind(pipeline=list(steps), **(dict(num=8, size=64) if kind is SyntheticFaces else {}), **settings)


def named(step):
    return f'{step["type"]}-{step.get("prob", step.get("magnitude", ""))}'


@pytest.mark.parametrize('step', MOVE, ids=named)
def test_what_moves_pictures_alone_is_refused(step):
    name = step['type'].split('.')[-1]
    with pytest.raises(ValueError, match=rf'^SyntheticFaces train: {name} of the pipeline moves picture and landmarks'):
        faces(LOAD, step, PACK)


@pytest.mark.parametrize('step', COLOUR, ids=named)
def test_what_changes_colours_is_let_through(step, said):
    assert len(faces(LOAD, step, PACK)) == 8
    assert not said


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr('mmfer.datasets.transforms.pipeline_check.print_log', lambda text, **_: texts.append(text))
    return texts


def test_the_sentence_names_the_step_and_the_cure():
    sentence = (
        r'^SyntheticFaces train: Translate of the pipeline moves picture and landmarks apart \(by up to \d+ % of its '
        r'side\); take it out, and have both changed on the device, by classes of kornia\.augmentation: '
        r'data_preprocessor=dict\(augment=\[dict\(type="RandomHorizontalFlip"\)\]\); another size is read by '
        r'dict\(type="mmfer\.LoadFace", size=100\)$'
    )
    with pytest.raises(ValueError, match=sentence):
        faces(LOAD, dict(type='Translate', magnitude=0.1, prob=1.0), PACK)


def test_steps_on_pil_pictures_and_after_packing_are_measured(said):
    to, back = dict(type='NumpyToPIL', to_rgb=True), dict(type='PILToNumpy', to_bgr=True)
    flip = dict(type='torchvision/RandomHorizontalFlip')
    faces(LOAD, to, dict(type='torchvision/ColorJitter', brightness=0.3), back, PACK)
    assert not said
    for steps in (
        [LOAD, to, flip, back, PACK],
        [LOAD, to, flip, PACK],
        [LOAD, ERASE, dict(type='Resize', scale=80), PACK],
    ):
        with pytest.raises(ValueError, match='of the pipeline moves picture and landmarks apart'):
            faces(*steps)


@pytest.mark.parametrize('does', ['nothing', 'mirror both', 'align'])
def test_a_step_of_ones_own_may_move_both(does, said):
    assert len(faces(LOAD, dict(type='OfTheTest', does=does), PACK)) == 8
    assert not said


def test_a_step_of_ones_own_may_be_wrong(said):
    with pytest.raises(
        ValueError, match='OfTheTest of the pipeline confuses left and right landmarks, which must change'
    ):
        faces(LOAD, dict(type='OfTheTest', does='mirror both, sides stay'), PACK)
    with pytest.raises(ValueError, match='OfTheTest of the pipeline moves picture and landmarks apart'):
        faces(LOAD, dict(type='OfTheTest', does='shrink'), PACK)
    assert not said


@pytest.mark.parametrize(
    ('does', 'why'),
    [
        ('own numbers', 'nothing of a face is left, or it draws random numbers of its own'),
        ('fail on drawn faces', r'it fails on a drawn face \(RuntimeError: no face\)'),
    ],
)
def test_what_cannot_be_measured_is_warned_of(does, why, said):
    faces(LOAD, dict(type='OfTheTest', does=does), PACK)
    assert len(said) == 1
    assert re.match(
        rf'SyntheticFaces train: whether OfTheTest moves .* could not be measured: {why}; see what', said[0]
    )


@pytest.mark.parametrize(
    ('does', 'right'),
    [('half', False), ('half, moved', True), ('mirror', False), ('mirror, moved', True), ('whole', True)],
)
def test_a_first_step_of_ones_own_is_measured_with_files(does, right, tmp_path, said):
    make_rafdb(tmp_path, size=64)
    settings = dict(kind=RAFDB, data_root=str(tmp_path), landmarks='landmarks68.npz')
    read = dict(type='ReaderOfTheTest', does=does)
    if right:
        assert len(faces(read, PACK, **settings)) == 28
    else:
        with pytest.raises(
            ValueError, match=r'^RAFDB train: ReaderOfTheTest of the pipeline moves .* % of its side\); read '
        ):
            faces(read, PACK, **settings)
    assert not said


def test_a_first_step_that_overlooks_boxes_is_refused(tmp_path, said):
    LAYOUTS['ExpW'](tmp_path, faces=20)
    columns = ExpW(str(tmp_path), holdout=None).columns
    points = np.tile(frontal_face().numpy() * 20, (len(columns['name']), 1, 1))
    write_landmarks(str(tmp_path / 'landmarks68.npz'), columns['name'].tolist(), points)
    settings = dict(kind=ExpW, data_root=str(tmp_path), landmarks='landmarks68.npz')
    with pytest.raises(
        ValueError,
        match=r'ExpW train: LoadImageFromFile of the pipeline moves picture and landmarks apart \(by up to \d+ % of '
        r'its side\); read faces with dict\(type="mmfer.LoadFace", size=100\), which moves both$',
    ):
        faces(dict(type='LoadImageFromFile'), PACK, **settings)
    faces(dict(type='mmfer.LoadFace', size=40), dict(type='Invert'), PACK, **settings)
    assert not said


def test_a_step_in_front_of_loadface_is_measured_where_pictures_are_in_memory():
    with pytest.raises(ValueError, match='RandomFlip of the pipeline moves picture and landmarks apart'):
        faces(dict(type='RandomFlip', prob=0.5), LOAD, PACK)


def test_a_step_keeps_its_state(said):
    dataset = faces(LOAD, dict(type='CounterOfTheTest'), PACK)
    assert dataset.pipeline.transforms[1].count == 0
    assert not said


def test_without_landmarks_pictures_may_be_moved(tmp_path):
    make_rafdb(tmp_path)
    settings = dict(kind=RAFDB, data_root=str(tmp_path))
    flip = dict(type='RandomFlip', prob=0.5)
    assert len(faces(LOAD, flip, PACK, **settings)) > 0
    with pytest.raises(ValueError, match='RAFDB test: RandomFlip of the pipeline'):
        faces(LOAD, flip, PACK, **settings, landmarks='landmarks68.npz', split='test')


def seed_all():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def test_the_processs_random_numbers_are_what_they_were():
    seed_all()
    expected = random.random(), np.random.rand(), torch.rand(1)
    seed_all()
    faces(LOAD, dict(type='ColorJitter', brightness=0.4), PACK)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


def test_brought_along_landmarks_of_faces_that_are_only_tested_are_warned_of(said, tmp_path):
    flip = dict(type='RandomFlip', prob=0.5)
    assert len(faces(LOAD, flip, PACK, split='test', test_mode=True)) == 8
    assert len(said) == 1
    assert 'SyntheticFaces test: RandomFlip of the pipeline moves picture and landmarks apart' in said[0]
    make_rafdb(tmp_path)
    named = dict(kind=RAFDB, data_root=str(tmp_path), landmarks='landmarks68.npz', split='test', test_mode=True)
    with pytest.raises(ValueError, match='RAFDB test: RandomFlip of the pipeline'):
        faces(LOAD, flip, PACK, **named)
