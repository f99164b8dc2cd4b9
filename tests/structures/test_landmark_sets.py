import numpy as np
import pytest
import torch
from miniature import face_points

from mmfer.structures.landmark_sets import MIRROR_68, landmark_set

# The same permutation written out by hand, point by point.
BY_HAND = [
    16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0,  # jaw
    26, 25, 24, 23, 22, 21, 20, 19, 18, 17,                    # brows
    27, 28, 29, 30, 35, 34, 33, 32, 31,                        # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,            # eyes
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55,            # outer lips
    64, 63, 62, 61, 60, 67, 66, 65,                            # inner lips
]  # fmt: skip


def test_the_mirror_point_by_point():
    assert list(MIRROR_68) == BY_HAND


def test_a_mirrored_symmetric_face_is_itself_again():
    face = face_points(mouth_open=0.4, smile=0.5)
    mirrored = face.copy()
    mirrored[:, 0] = 1 - mirrored[:, 0]
    np.testing.assert_allclose(mirrored[list(MIRROR_68)], face, atol=1e-6)
    assert np.abs(mirrored - face).max() > 0.3


def test_the_19_points_of_the_method_page():
    points = torch.from_numpy(np.random.default_rng(0).random((5, 68, 2)))
    p = points.unbind(dim=1)
    expected = torch.stack([
        p[17], p[19], p[21], p[22], p[24], p[26],
        p[36], (p[37] + p[38] + p[40] + p[41]) / 4, p[39], p[42], (p[43] + p[44] + p[46] + p[47]) / 4, p[45],
        p[31], p[30], p[35], p[48], (p[62] + p[66]) / 2, p[54], p[8]], dim=1)  # fmt: skip
    chosen = landmark_set('aflw19')
    assert len(chosen) == 19
    torch.testing.assert_close(chosen.weights().double() @ points, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(('name', 'first'), [('all', 0), ('no_jaw', 17)])
def test_whole_and_jawless(name, first):
    points = torch.rand(2, 68, 2)
    torch.testing.assert_close(landmark_set(name).weights() @ points, points[:, first:])


@pytest.mark.parametrize('name', ['all', 'aflw19', 'no_jaw'])
def test_a_set_of_a_mirrored_face_has_the_same_points(name):
    """Mirroring permutes the points of a set, it takes none in or out."""
    members = landmark_set(name).members
    mirrored = {frozenset(MIRROR_68[i] for i in group) for group in members}
    assert mirrored == {frozenset(group) for group in members}


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='no landmark set "aflw_19"; choose one of all, no_jaw, aflw19'):
        landmark_set('aflw_19')
