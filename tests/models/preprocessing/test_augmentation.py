"""Every class of kornia.augmentation either keeps landmarks where their dots are, or is refused when it is built."""

import inspect
import re

import kornia.augmentation as kornia
import pytest
import torch
from kornia.augmentation.base import _AugmentationBase
from torch import nn

from mmfer.models.preprocessing.augmentation import FaceAugmentation
from mmfer.registry import MODELS
from mmfer.structures.landmark_sets import MIRROR_68

SIZE = (96, 96)
MOVED = {
    'CenterCrop': dict(size=[80, 80]),
    'LongestMaxSize': dict(max_size=120),
    'PadTo': dict(size=[110, 120]),
    'RandomAffine': dict(degrees=15.0, translate=[0.05, 0.05], scale=[0.9, 1.1], shear=8.0),
    'RandomCrop': dict(size=[88, 84], padding=4),
    'RandomHorizontalFlip': {},
    'RandomPerspective': dict(distortion_scale=0.3),
    'RandomResizedCrop': dict(scale=[0.75, 1.0]),
    'RandomRotation': dict(degrees=25.0),
    'RandomRotation90': dict(times=[1, 3]),
    'RandomShear': dict(shear=10.0),
    'RandomTranslate': dict(translate_x=[-0.05, 0.05], translate_y=[-0.05, 0.05]),
    'RandomVerticalFlip': {},
    'Resize': dict(size=[64, 72]),
    'SmallestMaxSize': dict(max_size=110),
}
COLOURED = {
    'ColorJiggle': dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    'ColorJitter': dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    'Denormalize': dict(mean=0.5, std=0.25),
    'Normalize': dict(mean=0.5, std=0.25),
    'RandomAutoContrast': {},
    'RandomBoxBlur': {},
    'RandomBrightness': dict(brightness=[0.5, 1.5]),
    'RandomChannelDropout': {},
    'RandomChannelShuffle': {},
    'RandomClahe': {},
    'RandomContrast': dict(contrast=[0.5, 1.5]),
    'RandomEqualize': {},
    'RandomErasing': dict(scale=[0.02, 0.2]),
    'RandomGamma': dict(gamma=[0.5, 1.5]),
    'RandomGaussianBlur': dict(kernel_size=[5, 5], sigma=[0.5, 1.5]),
    'RandomGaussianIllumination': {},
    'RandomGaussianNoise': dict(std=0.05),
    'RandomGrayscale': {},
    'RandomHue': dict(hue=[-0.1, 0.1]),
    'RandomInvert': {},
    'RandomJPEG': {},
    'RandomLinearCornerIllumination': {},
    'RandomLinearIllumination': {},
    'RandomMedianBlur': {},
    'RandomMotionBlur': dict(kernel_size=5, angle=35.0, direction=0.5),
    'RandomPlanckianJitter': {},
    'RandomPlasmaBrightness': {},
    'RandomPlasmaContrast': {},
    'RandomPlasmaShadow': {},
    'RandomPosterize': {},
    'RandomRGBShift': {},
    'RandomRain': {},
    'RandomSaltAndPepperNoise': {},
    'RandomSaturation': dict(saturation=[0.5, 1.5]),
    'RandomSharpness': {},
    'RandomSnow': {},
    'RandomSolarize': {},
}
MIXES = 'mixes pictures or cuts them up, and their labels and landmarks stay as they were; take it out (RandomErasing '
APART = 'moves picture and landmarks apart, as it has no matrix that could move points; take it out (RandomAffine, '
HOLDS = 'holds other transforms, and a config can give it none; list them in augment'
FAILS = 'fails on pictures with landmarks: NotImplementedError'
REFUSED = {
    **dict.fromkeys(('PatchMix', 'RandomCutMixV2', 'RandomJigsaw', 'RandomMixUpV2', 'RandomMosaic'), MIXES),
    **dict.fromkeys(('RandomTransplantation', 'MixAugmentationBaseV2'), MIXES),
    **dict.fromkeys(('RandomElasticTransform', 'RandomFisheye', 'RandomThinPlateSpline', 'AugmentationBase2D'), APART),
    **dict.fromkeys(('AugmentationSequential', 'ImageSequential', 'PatchSequential', 'VideoSequential'), HOLDS),
    **dict.fromkeys(('ManyToManyAugmentationDispather', 'ManyToOneAugmentationDispather'), HOLDS),
    **dict.fromkeys(('GeometricAugmentationBase2D', 'IntensityAugmentationBase2D'), FAILS),
    'RigidAffineAugmentationBase2D': FAILS,
}
NOT_HERE = {'RandomDissolving': 'it fetches a diffusion model'}
CLASSES = sorted(name for name in dir(kornia) if inspect.isclass(getattr(kornia, name)))


def test_somebody_has_decided_about_every_class():
    flat = {name for name in CLASSES if not name.endswith('3D')}
    assert flat <= {*MOVED, *COLOURED, *REFUSED, *NOT_HERE}, 'decide, and add it to one of the lists above'


@pytest.mark.parametrize('name', [name for name in CLASSES if name in REFUSED or name.endswith('3D')])
def test_what_must_not_be_used_is_refused_when_it_is_built(name):
    sentence = 'is for volumes; name a class for pictures, without 3D' if name.endswith('3D') else REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(f'augment: {name} {sentence}')):
        FaceAugmentation([dict(type=name)], SIZE)


@pytest.mark.parametrize('name', ['container', '__doc__', 'utils'])
def test_what_is_no_transform_is_refused(name):
    with pytest.raises(ValueError, match=f'augment: {name} is no transform; name a class such as'):
        FaceAugmentation([dict(type=name)], SIZE)


def test_what_needs_a_package_that_is_not_here(monkeypatch):
    class Lacking(kornia.RandomHorizontalFlip):
        def __init__(self):
            raise ImportError("Optional dependency 'diffusers' is not installed.")

    monkeypatch.setattr(kornia, 'RandomHorizontalFlip', Lacking)
    with pytest.raises(ValueError, match=r"RandomHorizontalFlip needs a package .*: Optional dependency 'diffusers'"):
        FaceAugmentation([dict(type='RandomHorizontalFlip')], SIZE)


def draw(seed: int, size: int = 96, count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright spot in the middle third of each picture, at landmark 30; no other way of measuring than looking."""
    generator = torch.Generator().manual_seed(seed)
    place = size * (0.35 + 0.3 * torch.rand(count, 2, generator=generator))
    grid = torch.arange(size)
    x, y = (torch.exp(-((grid - place[:, axis, None]) ** 2) / 8) for axis in (0, 1))
    return (y[:, None, :, None] * x[:, None, None, :]).expand(-1, 3, -1, -1), place[:, None].expand(-1, 68, -1)


@pytest.mark.parametrize('p', [1.0, 0.5])
@pytest.mark.parametrize('name', MOVED)
def test_what_moves_pictures_moves_landmarks(name, p):
    chance = dict(p=p) if 'p' in inspect.signature(getattr(kornia, name)).parameters else {}
    augmentation = FaceAugmentation([dict(type=name, **MOVED[name], **chance)], SIZE)
    furthest = 0.0
    for seed in range(4):
        images, points = draw(seed)
        torch.manual_seed(seed)
        seen, moved = augmentation(images, points)
        light = seen.sum(1) * (seen.sum(1) > 0.3 * seen.sum(1).amax((1, 2), keepdim=True))
        x, y = (light.sum(axis) @ torch.arange(float(light.size(3 - axis))) for axis in (1, 2))
        places = torch.stack([x, y], dim=1) / light.sum((1, 2))[:, None]
        furthest = max(furthest, (places - moved[:, 30]).norm(dim=1).max().item())
    assert furthest < 0.5, f'{furthest} pixels'


@pytest.mark.parametrize('name', COLOURED)
def test_what_changes_colours_is_let_through_and_leaves_landmarks(name):
    cls = getattr(kornia, name)
    assert issubclass(cls, kornia.IntensityAugmentationBase2D)
    augmentation = FaceAugmentation([dict(type=name, p=1.0, **COLOURED[name])], SIZE)
    images, points = draw(0)
    seen, moved = augmentation(images, points)
    assert seen.shape == images.shape
    torch.testing.assert_close(moved, points, rtol=0, atol=0)


# --- a plugin's ---


class Darker(nn.Module):
    def forward(self, images):
        return images / 2


class Roll(nn.Module):
    def __init__(self, pixels: int = 12, prob: float = 1.0):
        super().__init__()
        self.pixels, self.prob = pixels, prob

    def forward(self, images):
        return torch.where(torch.rand(len(images), 1, 1, 1) < self.prob, images.roll(self.pixels, -1), images)


class Mix(nn.Module):
    def forward(self, images):
        return 0.9 * images + 0.1 * images.flip(0)


class Mirror(kornia.IntensityAugmentationBase2D):
    """Says that it changes colours."""

    def apply_transform(self, input, params, flags, transform=None):
        return input.flip(-1)


class Turn(kornia.GeometricAugmentationBase2D):
    """Turns a picture by 10 degrees, and says that it stays."""

    def compute_transformation(self, input, params, flags):
        return self.identity_matrix(input)

    def apply_transform(self, input, params, flags, transform=None):
        return kornia.RandomRotation([10.0, 10.0], p=1.0)(input)


class Wobble(kornia.AugmentationBase2D):
    def apply_transform(self, input, params, flags, transform=None):
        return input


class OwnGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator()

    def forward(self, images):
        return images + torch.rand(images.shape, generator=self.generator)


@pytest.fixture
def registered():
    kinds = {f'{cls.__name__}OfTheTest': cls for cls in (Darker, Roll, Mix, Mirror, Turn, Wobble, OwnGenerator)}
    for name, cls in kinds.items():
        MODELS.register_module(name=name, module=cls)
    yield
    for name in kinds:
        del MODELS._module_dict[name]


def of_the_test(name: str, **settings) -> FaceAugmentation:
    return FaceAugmentation([dict(type=f'mmfer.{name}OfTheTest', **settings)], SIZE)


@pytest.mark.usefixtures('registered')
@pytest.mark.parametrize(
    ('name', 'settings', 'sentence'),
    [
        ('Roll', {}, r'moves picture and landmarks apart \(by up to 8 % of its side\); take it out'),
        ('Roll', dict(prob=0.01), 'moves picture and landmarks apart'),
        ('Mirror', dict(p=0.01), 'moves picture and landmarks apart'),
        ('Turn', {}, 'moves picture and landmarks apart'),
        ('Wobble', {}, 'moves picture and landmarks apart, as it has no matrix that could move points'),
        ('Mix', {}, 'mixes pictures or cuts them up'),
    ],
)
def test_a_plugins_transform_is_measured(name, settings, sentence):
    with pytest.raises(ValueError, match=f'augment: mmfer.{name}OfTheTest {sentence}'):
        of_the_test(name, **settings)


@pytest.mark.usefixtures('registered')
def test_a_plugins_colours_are_let_through():
    seen, _ = of_the_test('Darker')(torch.ones(2, 3, 8, 8))
    assert (seen == 0.5).all()


@pytest.mark.usefixtures('registered')
def test_what_cannot_be_measured_is_warned_of(monkeypatch):
    said = []
    monkeypatch.setattr('mmfer.models.preprocessing.augmentation_check.print_log', lambda text, **_: said.append(text))
    of_the_test('OwnGenerator')
    assert len(said) == 1
    assert 'mmfer.OwnGeneratorOfTheTest keeps pictures and landmarks together could not be measured' in said[0]


# --- what measuring leaves alone ---


@pytest.mark.parametrize('transform', ["dict(type='RandomAffine')", dict(p=0.5), 'RandomAffine'])
def test_what_is_no_config_of_a_transform_is_named(transform):
    with pytest.raises(ValueError, match='augment takes dicts with a type, .* not .*: write them in a config file'):
        FaceAugmentation([transform], SIZE)


@pytest.mark.parametrize('side', [4, 8, 16, 32])
def test_a_crop_to_a_few_pixels_is_not_taken_for_wrong(side):
    crop = FaceAugmentation([dict(type='RandomResizedCrop', scale=(0.75, 1.0), p=1.0)], (side, side))
    assert crop(torch.rand(2, 3, 40, 40))[0].shape == (2, 3, side, side)


@pytest.mark.parametrize('scale', [(0.4, 0.6), (0.6, 0.8), (0.6, 1.0)])
def test_mirror_images_around_a_shrunken_picture_are_not_taken_for_it(scale):
    cfg = dict(type='RandomAffine', degrees=20, translate=(0.2, 0.2), scale=scale, padding_mode='reflection')
    assert FaceAugmentation([cfg], SIZE)(torch.rand(2, 3, *SIZE))[0].shape == (2, 3, *SIZE)
    assert cfg['padding_mode'] == 'reflection'


def test_a_crop_that_needs_larger_pictures_is_measured_with_larger_ones():
    augmentation = FaceAugmentation([dict(type='RandomCrop', size=[240, 240])], (224, 224))
    assert augmentation(torch.rand(2, 3, 256, 256))[0].shape == (2, 3, 240, 240)


def test_the_runs_random_numbers_are_what_they_were():
    published = [dict(type='RandomHorizontalFlip', p=0.31), dict(type='RandomErasing', p=0.31)]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    FaceAugmentation(published, SIZE)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_parts_of_the_run_keep_their_chances():
    flip = FaceAugmentation([dict(type='RandomHorizontalFlip', p=0.32)], SIZE)
    assert [part.p for part in flip._steps[0].images.children()] == [0.32]


def test_kornias_other_families_are_covered():
    """What neither moves points by a matrix nor mixes has no base class of its own."""
    for name in CLASSES:
        cls = getattr(kornia, name)
        if issubclass(cls, _AugmentationBase) and not issubclass(cls, kornia.RigidAffineAugmentationBase2D):
            assert name in REFUSED or name.endswith('3D')
    assert sorted(MIRROR_68) == list(range(68))
