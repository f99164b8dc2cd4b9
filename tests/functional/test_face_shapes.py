"""Shapes against scipy and scikit-learn, neighbours against a loop."""

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mmfer.functional.face_shapes import aligned_shapes, gaussian_shares, neighbour_shares


def turned(points, angle, size, place):
    matrix = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype=points.dtype)
    return size * points @ matrix + torch.tensor(place, dtype=points.dtype)


def test_place_size_and_turn_do_not_matter():
    draw = np.random.default_rng(0)
    face = torch.tensor(draw.normal(size=(68, 2)))
    copies = torch.stack([turned(face, angle, size, (size, -3)) for angle, size in ((0, 1), (0.4, 30), (-0.9, 0.2))])
    shapes = aligned_shapes(copies)
    assert torch.allclose(shapes, shapes[:1].expand(3, -1))
    assert torch.allclose(shapes.norm(dim=1), torch.ones(3, dtype=torch.double))
    assert torch.allclose(shapes.view(3, 68, 2).mean(1), torch.zeros(3, 2, dtype=torch.double), atol=1e-12)


def test_distances_to_the_mean_are_those_of_scipy():
    draw = np.random.default_rng(1)
    face = draw.normal(size=(68, 2))
    points = torch.tensor(face + 0.1 * draw.normal(size=(20, 68, 2)))
    shapes = aligned_shapes(points).view(20, 68, 2)
    mean = shapes.mean(0).numpy()
    for shape, original in zip(shapes, points, strict=True):
        _, fitted, disparity = procrustes(mean, original.numpy())  # scipy scales the second to fit, too
        size = np.linalg.norm(mean)
        assert 1 - float((shape.numpy() * mean / size).sum()) ** 2 == pytest.approx(disparity, abs=1e-9)
        assert fitted.shape == (68, 2)


def test_neighbours_are_those_of_a_loop():
    draw = np.random.default_rng(2)
    shapes, label = draw.normal(size=(40, 6)), draw.integers(3, size=40)
    shares = neighbour_shares(torch.tensor(shapes), torch.tensor(label), 3, neighbours=7).numpy()
    for i in range(40):
        others = sorted((np.linalg.norm(shapes[i] - shapes[j]), j) for j in range(40) if j != i)[:7]
        expected = [sum(label[j] == k for _, j in others) / 7 for k in range(3)]
        np.testing.assert_allclose(shares[i], expected)
    few = neighbour_shares(torch.tensor(shapes[:3]), torch.tensor([0, 1, 1]), 3)  # only two others
    np.testing.assert_allclose(few.numpy(), [[0, 1, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]])


def test_more_faces_than_are_looked_at_at_once(monkeypatch):
    shapes, label = torch.randn(50, 4), torch.randint(3, (50,))
    whole = neighbour_shares(shapes, label, 3, neighbours=5)
    monkeypatch.setattr('mmfer.functional.face_shapes._AT_ONCE', 7)
    assert torch.equal(neighbour_shares(shapes, label, 3, neighbours=5), whole)


def test_normal_distributions_are_those_of_scikit_learn():
    draw = np.random.default_rng(3)
    label = draw.integers(4, size=300)
    shapes, of = draw.normal(size=(300, 5)) + 0.7 * label[:, None], draw.normal(size=(30, 5))
    oracle = LinearDiscriminantAnalysis(solver='lsqr', shrinkage=1e-3, covariance_estimator=None).fit(shapes, label)
    shares = gaussian_shares(torch.tensor(shapes), torch.tensor(label), torch.tensor(of), 5)
    np.testing.assert_allclose(shares[:, :4].numpy(), oracle.predict_proba(of), atol=2e-3)  # it shrinks each class
    assert (shares[:, 4] == 0).all()  # no face has the fifth
