"""Image and landmarks stay together: dots are drawn at landmarks and looked for after every change.

Each image carries three dots, one a colour channel, at three of its landmarks; the others lie in its middle.
"""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch import nn
from torch.testing import assert_close

from mmfer.models import FaceDataPreprocessor
from mmfer.models.preprocessing.augmentation import FaceAugmentation
from mmfer.registry import MODELS
from mmfer.structures import FaceBatch
from mmfer.structures.landmark_sets import MIRROR_68

CONFIGS = Path(__file__).parents[3] / 'configs' / '_base_' / 'datasets'
PUBLISHED = ['rafdb', 'synthfaces']
MIDDLE = (27, 30, 33)
# Subject's right (the image's left) beside left, in the 68-point order.
SIDES = [(0, 16), (3, 13), (17, 26), (21, 22), (31, 35), (36, 45), (39, 42), (40, 47), (48, 54), (60, 64), (67, 65)]
FLIP = dict(type='RandomHorizontalFlip', p=0.5)
CROP = dict(type='RandomResizedCrop', scale=(0.75, 1.0), p=1.0)


def dots(points, size=100, sigma=2.5, peak=0.6):
    """One Gaussian a channel; uint8 [N, 3, size, size]."""
    grid = torch.arange(size, dtype=torch.float32)
    x, y = points[..., 0, None], points[..., 1, None]
    columns, rows = (torch.exp(-((grid - centre) ** 2) / (2 * sigma**2)) for centre in (x, y))
    return (rows[..., :, None] * columns[..., None, :] * peak * 255).round().byte()


def find(images):
    """Centroids of the dots as (x, y), [N, 3, 2], whatever grey lies around them."""
    images = images - images.flatten(2).median(2).values[..., None, None]
    images = torch.where(images > 0.15 * images.amax((2, 3), keepdim=True), images, torch.zeros(()))
    height, width = images.shape[-2:]
    mass = images.sum((2, 3))
    x = (images.sum(2) * torch.arange(width)).sum(2) / mass
    return torch.stack([x, (images.sum(3) * torch.arange(height)).sum(2) / mass], dim=-1)


def drawn(indices, rows=12, size=100, seed=0):
    """A batch with dots at three landmarks of each face, right of a pair on the left of the picture."""
    generator = torch.Generator().manual_seed(seed)
    indices = list(indices) * (rows // len(indices)) if isinstance(indices, list) else [indices] * rows
    landmarks = torch.full((len(indices), 68, 2), (size - 1) / 2)
    places = torch.rand(len(indices), 3, 2, generator=generator) * torch.tensor([0.18, 0.4]) + 0.3
    places[:, 1, 0] += 0.22  # the second stands on the other side
    for row, names in enumerate(indices):
        landmarks[row, list(names)] = places[row] * size
    return dots(places * size, size), landmarks, torch.tensor(indices)


def batch_of(landmarks):
    rows = len(landmarks)
    return FaceBatch(
        torch.zeros(rows).long(),
        torch.arange(rows),
        landmarks=landmarks.clone(),
        landmark_valid=torch.ones(rows).bool(),
    )


def plain(augment=(), size=100, **options):
    return FaceDataPreprocessor(size=size, mean=(0, 0, 0), std=(1, 1, 1), to_rgb=False, augment=augment, **options)


def prepare(preprocessor, images, landmarks, training=True, autocast=False, seed=0):
    torch.manual_seed(seed)
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        prepared = preprocessor({'inputs': images, 'data_samples': batch_of(landmarks)}, training=training)
    return prepared['inputs'], prepared['data_samples'].landmarks


def published(name, **changes):
    cfg = Config.fromfile(str(CONFIGS / f'{name}.py')).data_preprocessor
    return MODELS.build(dict(cfg.to_dict(), **changes))


def at(landmarks, indices):
    return landmarks.gather(1, indices[..., None].expand(-1, -1, 2))


# --- image and points stay together ---


@pytest.mark.parametrize('autocast', [False, True], ids=['', 'autocast'])
@pytest.mark.parametrize(
    ('augment', 'size'),
    [
        ([], 64),
        ([], 224),
        ([], (96, 130)),
        ([FLIP], 100),
        ([FLIP], (90, 60)),
        ([CROP], 100),
        ([CROP], 224),
        ([CROP], (64, 96)),
        ([FLIP, CROP], 160),
        ([CROP, FLIP], 96),
        ([dict(type='RandomAffine', degrees=20.0, translate=(0.05, 0.05), scale=(0.9, 1.1))], 100),
        ([dict(type='RandomRotation', degrees=25.0), CROP, FLIP], 112),
    ],
)
def test_dots_are_where_the_landmarks_are(augment, size, autocast):
    images, landmarks, indices = drawn(MIDDLE)
    seen, points = prepare(plain(augment, size), images, landmarks, autocast=autocast)
    assert seen.shape[2:] == ((size, size) if isinstance(size, int) else size)
    assert seen.dtype == points.dtype == torch.float32
    assert (find(seen) - at(points, indices)).norm(dim=-1).max() < 0.2
    if augment:
        moved = (at(points, indices) - at(prepare(plain((), size), images, landmarks)[1], indices)).norm(dim=-1)
        assert moved.max() > 1


@pytest.mark.parametrize('autocast', [False, True], ids=['', 'autocast'])
@pytest.mark.parametrize('name', PUBLISHED)
def test_dots_are_where_the_landmarks_are_after_all_the_published_augmentation(name, autocast):
    preprocessor = published(name)
    preprocessor.augment_normalized = None  # may erase a dot; has a test of its own
    images, landmarks, _ = drawn(MIDDLE, rows=24)
    # One dot in all channels: the colour jitter mixes them.
    images, indices = images[:, 1:2].expand(-1, 3, -1, -1), torch.full((24, 3), MIDDLE[1])
    seen, points = prepare(preprocessor, images, landmarks, autocast=autocast)
    assert seen.shape[2:] == preprocessor.size
    assert (find(seen) - at(points, indices)).norm(dim=-1).max() < 0.2
    scales = seen.flatten(1).amax(1)
    assert scales.std() > 0.02  # the jitter did something


@pytest.mark.parametrize('name', PUBLISHED)
def test_every_single_published_transform_keeps_dots_and_landmarks_together(name):
    cfg = Config.fromfile(str(CONFIGS / f'{name}.py')).data_preprocessor
    images, landmarks, _ = drawn(MIDDLE, rows=24)
    images, indices = images[:, 1:2].expand(-1, 3, -1, -1), torch.full((24, 3), MIDDLE[1])
    assert len(cfg.augment) == 3
    for transform in cfg.augment:
        seen, points = prepare(plain([transform], cfg.size), images, landmarks)
        assert (find(seen) - at(points, indices)).norm(dim=-1).max() < 0.2, transform


# --- a mirrored face ---


@pytest.mark.parametrize('augment', [[FLIP], [FLIP, CROP], [CROP, FLIP, dict(type='RandomRotation', degrees=10.0)]])
def test_a_flip_swaps_left_and_right_landmarks(augment):
    images, landmarks, indices = drawn([(right, left, 30) for right, left in SIDES], rows=4 * len(SIDES))
    seen, points = prepare(plain(augment), images, landmarks)
    found = find(seen)
    mirrored = found[:, 0, 0] > found[:, 1, 0]  # the dot that was on the left is on the right
    assert 8 < int(mirrored.sum()) < 36
    expected = torch.where(mirrored[:, None, None], found[:, [1, 0, 2]], found)
    assert (expected - at(points, indices)).norm(dim=-1).max() < 0.2
    assert (at(points, indices)[:, 0, 0] < at(points, indices)[:, 1, 0]).all()  # the right eye is left in the picture


def test_mirrored_twice_is_not_mirrored():
    always = dict(type='RandomHorizontalFlip', p=1.0)
    images, landmarks, _ = drawn((36, 45, 30))
    seen, points = prepare(plain([always, always]), images, landmarks)
    assert_close(points, landmarks, rtol=0, atol=1e-3)
    assert_close(seen, images / 255, rtol=0, atol=1e-5)
    _, apart = prepare(plain([always], augment_normalized=[always]), images, landmarks)
    assert_close(apart, landmarks, rtol=0, atol=1e-3)


def test_landmarks_of_another_standard_are_moved_but_not_swapped():
    landmarks = torch.tensor([[[10.0, 20.0], [70.0, 30.0]]])
    images = torch.zeros(1, 3, 100, 100)
    _, points = FaceAugmentation([dict(type='RandomHorizontalFlip', p=1.0)], (100, 100))(images, landmarks)
    assert_close(points, torch.tensor([[[89.0, 20.0], [29.0, 30.0]]]))


# --- erasing ---


@pytest.mark.parametrize('name', PUBLISHED)
def test_erasing_fills_with_the_mean_and_leaves_landmarks_alone(name):
    images, landmarks, _ = drawn(MIDDLE, rows=48)
    images = images // 2 + 100
    with_erasing, without = published(name), published(name, augment_normalized=[])
    erased, points = prepare(with_erasing, images, landmarks)
    whole, expected = prepare(without, images, landmarks)
    assert_close(points, expected, rtol=0, atol=0)
    changed = (erased != whole).any(1)
    share = changed.float().mean((1, 2))
    assert 2 <= int((share > 0).sum()) <= 24  # p = .2 of 48
    assert (share[share > 0] > 0.01).all()
    assert (share < 0.22).all()
    assert erased.movedim(1, -1)[changed].abs().max() == 0


# --- what it does when nothing is drawn ---


def test_outside_training_it_only_resizes_and_normalises():
    images = torch.randint(0, 256, (3, 3, 40, 50), dtype=torch.uint8)
    landmarks = torch.rand(3, 68, 2) * 40
    preprocessor = published('rafdb')
    first, points = prepare(preprocessor, images, landmarks, training=False)
    again, _ = prepare(preprocessor, images, landmarks, training=False, seed=9)
    assert_close(again, first, rtol=0, atol=0)
    mean, std = torch.tensor([0.5412, 0.4324, 0.3795]), torch.tensor([0.2485, 0.2182, 0.2066])  # la_net.md
    resized = F.interpolate(images.flip(1).float() / 255, (224, 224), mode='bilinear', antialias=True)
    assert_close(first, (resized - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    expected = torch.stack([(landmarks[..., 0] + 0.5) * 224 / 50 - 0.5, (landmarks[..., 1] + 0.5) * 224 / 40 - 0.5], -1)
    assert_close(points, expected)


@pytest.mark.parametrize(('to_rgb', 'channel'), [(True, 0), (False, 2)])
def test_stored_images_are_blue_green_red(to_rgb, channel):
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[:, 2] = 255  # red
    preprocessor = FaceDataPreprocessor(size=8, mean=(0, 0, 0), std=(1, 1, 1), to_rgb=to_rgb)
    seen = preprocessor({'inputs': images})['inputs']
    assert seen[0, :, 0, 0].tolist() == [float(c == channel) for c in range(3)]


def test_what_came_in_is_not_changed():
    images, landmarks, _ = drawn(MIDDLE)
    before, batch = images.clone(), batch_of(landmarks)
    prepared = plain([FLIP, CROP])({'inputs': images, 'data_samples': batch}, training=True)
    assert_close(images, before, rtol=0, atol=0)
    assert_close(batch.landmarks, landmarks, rtol=0, atol=0)
    assert (prepared['data_samples'].landmarks - landmarks).abs().max() > 1


def test_stock_data_samples_and_lists_of_images_are_taken_too():
    images, landmarks, _ = drawn(MIDDLE, rows=3)
    batch = batch_of(landmarks)
    torch.manual_seed(4)
    expected = plain([FLIP])({'inputs': images, 'data_samples': batch}, training=True)
    torch.manual_seed(4)
    seen = plain([FLIP])({'inputs': list(images), 'data_samples': list(batch)}, training=True)
    assert all(isinstance(sample, DataSample) for sample in batch)
    assert_close(seen['inputs'], expected['inputs'], rtol=0, atol=0)
    assert isinstance(seen['data_samples'], FaceBatch)
    assert_close(seen['data_samples'].landmarks, expected['data_samples'].landmarks, rtol=0, atol=0)


def test_images_of_several_sizes_come_out_in_one():
    images = [torch.full((3, 20, 30), 255, dtype=torch.uint8), torch.zeros(3, 64, 50, dtype=torch.uint8)]
    prepared = plain(size=32)({'inputs': images})
    assert prepared['data_samples'] is None
    assert_close(prepared['inputs'], torch.tensor([1.0, 0.0]).view(2, 1, 1, 1).expand(2, 3, 32, 32))


def test_faces_without_landmarks_are_augmented_alike():
    images, landmarks, _ = drawn(MIDDLE)
    bare = FaceBatch(torch.zeros(12).long(), torch.arange(12))
    preprocessor = plain([FLIP, CROP])
    with_points, _ = prepare(preprocessor, images, landmarks)
    torch.manual_seed(0)
    prepared = preprocessor({'inputs': images, 'data_samples': bare}, training=True)
    assert prepared['data_samples'].landmarks is None
    assert_close(prepared['inputs'], with_points, rtol=0, atol=0)


def test_randomness_is_torchs_alone():
    """So that ReseedHook's seed decides everything."""
    images, landmarks, _ = drawn(MIDDLE)
    preprocessor = published('rafdb')
    first, points = prepare(preprocessor, images, landmarks, seed=3)
    random.seed(5)
    np.random.seed(5)
    state = random.getstate()
    again, same = prepare(preprocessor, images, landmarks, seed=3)
    assert random.getstate() == state
    assert_close(again, first, rtol=0, atol=0)
    assert_close(same, points, rtol=0, atol=0)
    other, _ = prepare(preprocessor, images, landmarks, seed=4)
    assert (other - first).abs().max() > 0.1


def test_a_new_preprocessor_draws_what_a_used_one_draws():
    """A resumed run starts with a new one."""
    images, landmarks, _ = drawn(MIDDLE)
    used = published('rafdb')
    for seed in range(3):
        prepare(used, images, landmarks, seed=seed)
    assert_close(
        prepare(used, images, landmarks, seed=9), prepare(published('rafdb'), images, landmarks, seed=9), rtol=0, atol=0
    )


def test_it_leaves_nothing_in_a_checkpoint():
    preprocessor = published('rafdb')
    assert not preprocessor.state_dict()
    assert not list(preprocessor.parameters())
    assert {name for name, _ in preprocessor.named_buffers()} == {'mean', 'std'}
    assert not list(preprocessor.children())


# --- one of several ---

NOISE = dict(type='RandomGaussianNoise', mean=0.0, std=30**0.5 / 255)
FLIP_OR_NOISE = dict(type='OneOf', p=0.5, transforms=[dict(type='RandomHorizontalFlip'), NOISE])


def test_one_of_two_is_never_both_and_landmarks_go_with_the_flip():
    """The augmentation of SCN's and ARM's code: a quarter is flipped, another quarter gets noise, half stay."""
    images, landmarks = torch.rand(4000, 3, 6, 6), 6 * torch.rand(4000, 68, 2)
    torch.manual_seed(0)
    seen, points = FaceAugmentation([FLIP_OR_NOISE], (6, 6))(images, landmarks)
    flipped = (seen == images.flip(-1)).flatten(1).all(1)
    same = (seen == images).flatten(1).all(1)
    noisy = ~flipped & ~same
    for share, expected in ((flipped, 0.25), (noisy, 0.25), (same, 0.5)):
        assert share.float().mean().item() == pytest.approx(expected, abs=0.03)  # four standard deviations
    assert (seen - images)[noisy].mean().item() == pytest.approx(0, abs=1e-3)
    assert (seen - images)[noisy].std().item() == pytest.approx(0.021479, rel=0.02)
    assert_close(points[~flipped], landmarks[~flipped], rtol=0, atol=0)
    mirrored = landmarks[flipped][:, list(MIRROR_68)]
    mirrored[..., 0] = 5 - mirrored[..., 0]
    assert_close(points[flipped], mirrored, rtol=0, atol=1e-4)


def test_one_of_some_goes_with_what_stands_before_and_behind_it():
    images, landmarks, indices = drawn([(36, 45, 8)])
    augment = [dict(type='RandomRotation', degrees=20.0, p=1.0), FLIP_OR_NOISE, CROP]
    seen, points = prepare(plain(augment), images, landmarks)
    rows, mirror = torch.arange(len(indices))[:, None], torch.tensor(MIRROR_68)
    # A flip gives the dot that was drawn at the right eye to the left one.
    errors = [(find(seen) - points[rows, of]).abs().amax((1, 2)) for of in (indices, mirror[indices])]
    assert torch.minimum(*errors).max() < 1
    assert 1 <= (errors[1] < 1).sum() <= 6  # of 12
    alone = FaceAugmentation([FLIP_OR_NOISE], (6, 6))(torch.rand(5, 3, 6, 6))
    assert alone[0].shape == (5, 3, 6, 6)
    assert alone[1] is None


@pytest.mark.parametrize(
    ('cfg', 'sentence'),
    [
        (dict(transforms=[]), 'OneOf takes transforms and p in .0, 1., got 0 transforms and p=1.0'),
        (dict(transforms=[NOISE], p=1.5), 'got 1 transforms and p=1.5'),
        (dict(transforms=[FLIP]), 'OneOf draws one of its transforms: take p=0.5 out of RandomHorizontalFlip'),
        (dict(transforms=[dict(type='Nois')]), 'kornia.augmentation has no "Nois"'),
    ],
)
def test_one_of_names_mistakes(cfg, sentence):
    with pytest.raises(ValueError, match=sentence):
        plain([dict(type='OneOf', **cfg)])


def test_one_of_cannot_make_faces_of_two_sizes():
    crop = dict(type='RandomResizedCrop', size=(24, 24))
    with pytest.raises(ValueError, match='OneOf: an augmentation makes .24, 24. px of .36, 36. px'):
        FaceAugmentation([dict(type='OneOf', transforms=[crop])], (36, 36))(torch.rand(2, 3, 36, 36))


# --- configs ---


def test_an_unknown_transform_is_met_with_the_nearest():
    with pytest.raises(
        ValueError, match='kornia.augmentation has no "RandomHorizontlFlip"; did you mean "RandomHorizontalFlip"'
    ):
        plain([dict(type='RandomHorizontlFlip')])


def test_sizes_and_lists_of_a_config_become_what_kornia_wants():
    augmentation = FaceAugmentation([dict(type='RandomResizedCrop', scale=[0.5, 1.0], p=1.0)], (24, 36))
    assert augmentation(torch.rand(2, 3, 50, 50))[0].shape == (2, 3, 24, 36)
    own = FaceAugmentation([dict(type='RandomResizedCrop', size=[16, 20], p=1.0)], (24, 36))
    assert own(torch.rand(2, 3, 50, 50))[0].shape == (2, 3, 16, 20)


def test_crops_for_gpus_are_cut_at_once_and_are_the_same(monkeypatch):
    images, landmarks = torch.rand(5, 3, 40, 40), 40 * torch.rand(5, 68, 2)
    one_by_one = FaceAugmentation([CROP], (32, 32))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    at_once = FaceAugmentation([CROP], (32, 32))
    modes, results = [], []
    for augmentation in (one_by_one, at_once):
        modes += [next(iter(augmentation._steps[0].images.children())).flags['cropping_mode']]
        torch.manual_seed(0)
        results.append(augmentation(images, landmarks))
    assert modes == ['slice', 'resample']
    (crops, points), (crops_at_once, points_at_once) = results
    assert_close(points_at_once, points)
    assert_close(crops_at_once, crops, rtol=0, atol=1e-4)


def test_a_plugins_transform_is_found_in_its_registry():
    import kornia.augmentation as K

    class Darker(K.IntensityAugmentationBase2D):
        def apply_transform(self, input, params, flags, transform=None):
            return input / 2

    MODELS.register_module(name='DarkerForATest', module=Darker)
    try:
        seen, _ = FaceAugmentation([dict(type='mmfer.DarkerForATest', p=1.0)], (8, 8))(torch.ones(1, 3, 8, 8))
    finally:
        del MODELS._module_dict['DarkerForATest']
    assert_close(seen, torch.full((1, 3, 8, 8), 0.5))


def test_mixing_images_is_refused():
    with pytest.raises(ValueError, match='mixes images, whose landmarks cannot be mixed; use the ClsDataPreprocessor'):
        FaceDataPreprocessor(batch_augments=dict(augments='Mixup'))
    assert isinstance(FaceDataPreprocessor(batch_augments=None), nn.Module)  # what mmpretrain hands over by default
