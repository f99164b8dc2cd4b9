import random

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmfer.structures.dotted_faces import frontal_face
from mmfer.structures.landmark_probe import APART, MIXES, SIDES, measure
from mmfer.structures.landmark_sets import MIRROR_68


def mirrored(images, points):
    """Both, and left and right landmarks change places."""
    points = torch.stack([images.shape[-1] - 1 - points[..., 0], points[..., 1]], dim=-1)
    return images.flip(-1), points[:, MIRROR_68]


def shifted(share: float):
    """The picture alone, by a share of its width."""
    return lambda images, points: (images.roll(round(share * images.shape[-1]), -1), points)


def sometimes(change, chance: float):
    def apply(images, points):
        drawn = torch.rand(len(images)) < chance
        changed, moved = change(images, points)
        return torch.where(drawn[:, None, None, None], changed, images), torch.where(
            drawn[:, None, None], moved, points
        )

    return apply


def of_several_sizes(images, points):
    rows = range(len(images))
    return [images[n, ..., n:] for n in rows], [points[n] - torch.tensor([n, 0]) for n in rows]


@pytest.mark.parametrize(
    'change',
    [
        lambda images, points: (images, points),
        lambda images, points: (1 - images**2, points),
        lambda images, points: (images.roll(7, -1), points + torch.tensor([7.0, 0.0])),
        lambda images, points: (images - images.mean(), points),  # colours may depend on the batch
        lambda images, points: (images + np.random.rand() + random.random() + torch.rand(()), points),
        lambda images, points: (images[..., 10:, 20:], points - torch.tensor([20.0, 10.0])),
        of_several_sizes,
        mirrored,
        sometimes(mirrored, 0.5),
        shifted(0.01),
    ],
)
def test_right_changes(change):
    found = measure(change)
    assert found.fault is None
    assert found.found > 15
    assert found.distance < 0.02


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        (shifted(0.05), APART),
        (sometimes(shifted(0.05), 0.5), APART),
        (lambda images, points: (images, points + 5), APART),
        (lambda images, points: (images.rot90(2, (-2, -1)), points), APART),
        (lambda images, points: (images[..., 10:, 10:], points), APART),
        (lambda images, points: (images.flip(-1), points), APART),
        (lambda images, points: (torch.cat([images[..., 80:], images[..., :80]], dim=-1), points), APART),
        (lambda images, points: (mirrored(images, points)[0], mirrored(images, points)[1][:, MIRROR_68]), SIDES),
        (lambda images, points: (images, points[:, MIRROR_68]), SIDES),
        (lambda images, points: (0.7 * images + 0.3 * images.roll(1, 0), points), MIXES),
        (lambda images, points: (images.roll(1, 0), points), MIXES),
        (lambda images, points: (images[:4], points[:4]), MIXES),
    ],
)
def test_wrong_changes(change, fault):
    assert measure(change).fault == fault


def test_the_distance_is_that_between_dot_and_landmark():
    assert_close(measure(shifted(0.1), (100, 200)).distance, 0.1, rtol=0, atol=0.003)


def test_what_cannot_be_told():
    own = torch.Generator()
    for change in (
        lambda images, points: (images + torch.rand(images.shape, generator=own), points),
        lambda images, points: (0 * images, points),
    ):
        assert measure(change) == (None, 0, 0)


def test_the_processs_generators_are_left_as_they_were():
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    expected = torch.rand(2), np.random.rand(2), random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    measure(lambda images, points: (images + torch.rand(()) + np.random.rand() + random.random(), points))
    with pytest.raises(ZeroDivisionError):
        measure(lambda images, points: (images + torch.rand(()) / 0, 1 / 0))
    assert_close(torch.rand(2), expected[0], rtol=0, atol=0)
    assert np.random.rand(2).tolist() == expected[1].tolist()
    assert random.random() == expected[2]


def test_the_face_is_one():
    x, y = frontal_face().unbind(1)
    assert frontal_face().shape == (68, 2)
    assert_close(torch.stack([1 - x, y], dim=1)[list(MIRROR_68)], frontal_face(), atol=1e-5, rtol=0)
    assert y[17:27].max() < y[36:48].min() < y[36:48].max() < y[30] < y[48:].min() < y[48:].max() < y[8]
    assert x[36] < x[39] < x[27] < x[42] < x[45]
