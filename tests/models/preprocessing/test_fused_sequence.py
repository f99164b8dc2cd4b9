"""What a GPU does in few kernels is what kornia does with the same draws."""

import inspect

import kornia.augmentation as kornia
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmfer.models.preprocessing.augmentation import FaceAugmentation
from mmfer.models.preprocessing.fused_sequence import FusedSequence, for_devices, fusable
from mmfer.models.preprocessing.kornia_sequence import KorniaSequence

FLIP = kornia.RandomHorizontalFlip
COLOURS = dict(brightness=0.4, contrast=0.4, saturation=0.4)


def rafdb():
    return [FLIP(p=0.5), kornia.ColorJitter(**COLOURS), kornia.RandomResizedCrop((64, 48), scale=(0.5, 1.0))]


SEQUENCES = {
    'published': rafdb,
    'hue and chance': lambda: [kornia.ColorJitter(**COLOURS, hue=0.1, p=0.5)],
    'nothing to jitter': lambda: [kornia.ColorJitter()],
    'flip': lambda: [FLIP(p=0.5)],
    'both flips': lambda: [FLIP(p=0.5), kornia.RandomVerticalFlip(p=0.5)],
    'erasing': lambda: [kornia.RandomErasing(scale=(0.02, 0.3), value=0.25, p=0.5)],
    'erasing within what was cropped': lambda: [kornia.RandomResizedCrop((50, 70)), kornia.RandomErasing(p=1.0)],
    'rotation': lambda: [FLIP(p=0.5), kornia.RandomRotation(20.0, p=0.7)],
    'affine': lambda: [
        kornia.RandomAffine(15.0, (0.1, 0.1), (0.8, 1.2), 8.0, padding_mode='border', align_corners=True, p=0.8)
    ],
    'shear': lambda: [kornia.RandomShear(10.0, align_corners=True, padding_mode='reflection')],
    'translation': lambda: [kornia.RandomTranslate((-0.1, 0.1), (-0.1, 0.1), align_corners=True, p=1.0)],
    'two resamplings': lambda: [kornia.RandomRotation(20.0, p=1.0), *rafdb(), FLIP(p=0.5)],
    'jitter after a crop': lambda: [kornia.RandomResizedCrop((40, 40)), FLIP(p=0.5), kornia.ColorJitter(**COLOURS)],
}
if 'order' in inspect.signature(kornia.ColorJitter).parameters:  # from kornia 0.9 on, which mended the second, too
    SEQUENCES['to one pixel'] = lambda: [FLIP(p=0.5), kornia.RandomResizedCrop((1, 5))]
    SEQUENCES['fixed order'] = lambda: [kornia.ColorJitter(**COLOURS, order=[2, 0, 1])]


def faces(rows: int = 12, height: int = 60, width: int = 52) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return (
        torch.rand(rows, 3, height, width, generator=generator),
        torch.rand(rows, 68, 2, generator=generator) * torch.tensor([width, height]),
    )


@pytest.mark.parametrize('name', SEQUENCES)
def test_it_is_kornias_result(name):
    images, points = faces()
    for seed in range(5):
        torch.manual_seed(seed)
        fused, moved = FusedSequence(SEQUENCES[name]())(images, points)
        after = torch.get_rng_state()
        torch.manual_seed(seed)
        expected, expected_points = KorniaSequence(SEQUENCES[name]())(images, points)
        assert torch.equal(torch.get_rng_state(), after)  # what is drawn next is the same, too
        torch.testing.assert_close(fused, expected, rtol=0, atol=2e-5)
        torch.testing.assert_close(moved, expected_points, rtol=0, atol=2e-4)
        torch.manual_seed(seed)
        alone, none = FusedSequence(SEQUENCES[name]())(images)
        assert none is None
        assert torch.equal(alone, fused)


@pytest.mark.parametrize('name', ['flip', 'both flips', 'erasing'])
def test_what_interpolates_nothing_is_equal_to_the_bit(name):
    images, points = faces()
    torch.manual_seed(1)
    fused, _ = FusedSequence(SEQUENCES[name]())(images, points)
    torch.manual_seed(1)
    assert torch.equal(fused, KorniaSequence(SEQUENCES[name]())(images, points)[0])


def test_noise_is_drawn_on_the_device_for_the_faces_that_kornia_chose():
    images, points = faces(rows=40)
    torch.manual_seed(1)
    noisy, moved = FusedSequence([kornia.RandomGaussianNoise(mean=0.1, std=0.2, p=0.5)])(images, points)
    torch.manual_seed(1)
    expected, _ = KorniaSequence([kornia.RandomGaussianNoise(mean=0.1, std=0.2, p=0.5)])(images, points)
    changed, added = (noisy != images).any((1, 2, 3)), noisy - images
    assert torch.equal(changed, (expected != images).any((1, 2, 3)))
    assert 10 < changed.sum() < 30
    assert added[changed].mean().item() == pytest.approx(0.1, abs=0.002)
    assert added[changed].std().item() == pytest.approx(0.2, abs=0.002)
    assert torch.equal(moved, points)


@pytest.mark.parametrize(
    'part',
    [
        kornia.RandomAffine(5.0),  # between the corners of pixels, not their centres
        kornia.RandomRotation(5.0, resample='nearest'),
        kornia.RandomResizedCrop((8, 8), p=0.5),  # all faces of a batch, or none
        kornia.ColorJitter(0.4, same_on_batch=True),
        kornia.RandomErasing(keepdim=True),
        kornia.RandomPerspective(),
        torch.nn.Identity(),
    ],
)
def test_what_it_would_do_otherwise_is_left_to_kornia(part):
    assert not fusable(part)
    assert [type(step) for step in for_devices([part])] == [KorniaSequence]


def test_kornia_goes_on_where_it_must():
    steps = for_devices([FLIP(), kornia.ColorJitter(0.1), kornia.RandomGamma(), kornia.RandomErasing()])
    assert [type(step) for step in steps] == [FusedSequence, KorniaSequence, FusedSequence]
    assert [len(steps[k].parts) for k in (0, 2)] == [2, 1]


# --- on a device, as far as one without numbers can tell ---


class Launches(TorchDispatchMode):
    """Counts what runs on a device: calls of tensors that are there and are no views."""

    VIEWS = ('view', 'slice', 'select', 'expand', 'unsqueeze', 'permute', 'transpose', 'split', 'unbind', 'detach')

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        there = isinstance(out, torch.Tensor) and out.device.type == 'meta'
        self.count += there and not name.startswith(self.VIEWS)
        return out


@pytest.mark.parametrize(
    ('augment', 'most'),
    [
        ([dict(type='RandomHorizontalFlip'), dict(type='RandomResizedCrop', scale=(0.75, 1.0))], 15),
        ([dict(type='RandomErasing')], 10),
        ([dict(type='RandomHorizontalFlip'), dict(type='ColorJitter', **COLOURS), dict(type='RandomResizedCrop')], 45),
        ([dict(type='OneOf', p=0.5, transforms=[dict(type='RandomHorizontalFlip')])], 20),
    ],
)
def test_a_device_gets_few_kernels_and_is_never_waited_for(augment, most):
    images, points = faces()
    augmentation = FaceAugmentation(augment, (64, 48))
    # A tensor on the device "meta" has no numbers: whoever reads one, as .item() does, fails.
    with Launches() as launches:
        seen, moved = augmentation(images.to('meta'), points.to('meta'))
    assert seen.device.type == moved.device.type == 'meta'
    assert seen.shape[-2:] == augmentation(images, points)[0].shape[-2:]
    assert 0 < launches.count <= most
