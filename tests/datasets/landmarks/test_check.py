import numpy as np
from miniature import face_points

from mmfer.datasets.landmarks.check import off_image, shape_outlyingness


def people(count: int, seed: int = 0) -> np.ndarray:
    """Faces that are turned, scaled and moved, with expressions and a bit of noise."""
    rng = np.random.default_rng(seed)
    points = []
    for _ in range(count):
        face = face_points(mouth_open=rng.uniform(0, 1), smile=rng.uniform(-1, 1), brow=rng.uniform(-1, 1)) - 0.5
        angle = rng.uniform(-np.pi, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points.append(rng.uniform(20, 200) * (face + rng.normal(0, 0.006, face.shape)) @ turn + rng.uniform(0, 99, 2))
    return np.array(points, np.float32)


def test_position_size_and_turn_do_not_matter_but_shape_does():
    points = people(200)
    odd = {
        7: points[7] * [1, -1],  # mirrored
        40: np.random.default_rng(1).permutation(points[40]),
        90: np.concatenate([points[90, :36], points[91, 36:]]),
        120: points[120] * 0,
    }
    for row, face in odd.items():
        points[row] = face
    far = shape_outlyingness(points)
    assert sorted(np.flatnonzero(far > 4).tolist()) == sorted(odd)
    assert far[120] == np.inf
    moved = shape_outlyingness(3 * points[:, :, ::-1] * [1, -1] + 50)  # turned by a quarter, larger, moved
    np.testing.assert_allclose(moved, far, atol=0.02)


def test_the_score_is_robust_standard_deviations_of_the_log_distance():
    mean = face_points().astype(np.float64) - 0.5
    mean -= mean.mean(0)
    mean /= np.linalg.norm(mean)
    rng = np.random.default_rng(0)
    points, remains = [], []
    for size in np.geomspace(0.001, 0.02, 51):
        shape = mean + size * rng.normal(size=mean.shape)
        points.append(shape)
        # The best similarity by least squares on the four parameters a, b, x, y of (ax - by + c, bx + ay + d).
        x, y = shape.T
        one, none = np.ones(68), np.zeros(68)
        system = np.concatenate([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)])
        target = mean.T.ravel()
        error = system @ np.linalg.lstsq(system, target, rcond=None)[0] - target
        remains.append(np.log(np.sqrt((error**2).sum() / 68)))
    expected = np.array(remains) - np.median(remains)
    expected /= 1.4826 * np.median(np.abs(expected))
    # Our mean is estimated from the faces: a small difference where they are close to it.
    np.testing.assert_allclose(shape_outlyingness(np.array(points))[10:], expected[10:], atol=0.25)


def test_no_faces_and_faces_in_one_spot():
    assert shape_outlyingness(np.zeros((0, 68, 2))).shape == (0,)
    assert (shape_outlyingness(np.ones((3, 68, 2))) == np.inf).all()


def test_off_the_image_is_most_points_beside_it_or_all_in_one_spot():
    face = 100 * face_points()
    tight = face * 1.4 - 20  # chin and cheeks reach beyond
    assert tight.max() > 105
    assert tight.min() < -5
    points = np.stack([face, tight, face + 70, face / 100, face * np.nan, face + 70, face * 2])
    size = np.array([[100, 100]] * 5 + [[0, 0], [100, 190]])
    assert off_image(points, size).tolist() == [False, False, True, True, False, False, False]
