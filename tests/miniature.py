"""Miniature datasets on disk, in the layout of the real ones."""

import os
from collections.abc import Sequence

import cv2
import numpy as np

NAMES = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')


def face_points(mouth_open: float = 0.2, smile: float = 0.0, brow: float = 0.0) -> np.ndarray:
    """A frontal face: 68 points in the unit square, left-right symmetric in the standard order."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.42 * np.cos(turn), 0.4 + 0.52 * np.sin(turn)], axis=1)
    arch = np.array([0, -0.03, -0.04, -0.035, -0.02]) - 0.05 * brow
    left_brow = np.stack([np.linspace(0.17, 0.42, 5), 0.3 + arch], axis=1)
    nose = np.array(
        [(0.5, y) for y in (0.38, 0.45, 0.52, 0.59)]
        + [(x, 0.65 + 0.03 * (1 - abs(x - 0.5) / 0.09)) for x in (0.41, 0.455, 0.5, 0.545, 0.59)]
    )
    left_eye = np.array([(0.24, 0.4), (0.29, 0.375), (0.34, 0.375), (0.39, 0.4), (0.34, 0.42), (0.29, 0.42)])
    corner, gap = 0.78 - 0.04 * smile, 0.03 + 0.1 * mouth_open

    def lips(width: float, height: float, top: Sequence[float], bottom: Sequence[float]) -> np.ndarray:
        upper = [(x, corner - height * (1 - abs(x) / 0.5) - 0.01) for x in top]
        lower = [(x, corner + height * (1 - abs(x) / 0.5) + 0.01) for x in bottom]
        points = np.array([(-0.5, corner), *upper, (0.5, corner), *lower])
        return np.stack([0.5 + width * points[:, 0], points[:, 1]], axis=1)

    outer = lips(0.34, gap + 0.03, (-0.3, -0.12, 0, 0.12, 0.3), (0.3, 0.12, 0, -0.12, -0.3))
    inner = lips(0.28, gap, (-0.2, 0, 0.2), (0.2, 0, -0.2))

    def mirrored(points: np.ndarray, order: Sequence[int]) -> np.ndarray:
        return np.stack([1 - points[:, 0], points[:, 1]], axis=1)[list(order)]

    return np.concatenate(
        [
            jaw,
            left_brow,
            mirrored(left_brow, (4, 3, 2, 1, 0)),
            nose,
            left_eye,
            mirrored(left_eye, (3, 2, 1, 0, 5, 4)),
            outer,
            inner,
        ]
    ).astype(np.float32)


def draw_face(points: np.ndarray, size: int, skin: Sequence[int]) -> np.ndarray:
    """A face of flat patches, BGR uint8 [size, size, 3]."""
    image = np.full((size, size, 3), 60, dtype=np.uint8)
    dark = tuple(int(c) // 3 for c in skin)

    def outline(rows: slice) -> np.ndarray:
        return np.round(points[rows]).astype(np.int32)

    cv2.ellipse(
        image,
        (size // 2, round(size * 0.45)),
        (round(size * 0.43), round(size * 0.5)),
        0,
        0,
        360,
        tuple(int(c) for c in skin),
        -1,
    )
    for brow in (slice(17, 22), slice(22, 27), slice(27, 31)):
        cv2.polylines(image, [outline(brow)], False, dark, max(size // 50, 1))
    for eye in (slice(36, 42), slice(42, 48)):
        cv2.fillPoly(image, [outline(eye)], (240, 240, 240))
    cv2.fillPoly(image, [outline(slice(48, 60))], (60, 60, 170))
    cv2.fillPoly(image, [outline(slice(60, 68))], (30, 20, 40))
    return image


def make_rafdb(root, per_class=4, size: int = 100, landmarks: bool = True, seed: int = 0, test_per_class=None) -> str:
    """Writes a miniature RAF-DB basic.

    Args:
        root: Folder to write to; made if need be.
        per_class: Training faces of each class: a number, or one for each of the seven.
        size: Height and width of the images.
        landmarks: Whether to write ``landmarks68.npz``.
        seed: Of everything.
        test_per_class: Test faces of each class; None for the same as ``per_class``.

    Returns:
        The folder, as str.
    """
    root, random = str(root), np.random.default_rng(seed)
    folder = os.path.join(root, 'basic', 'Image', 'aligned')
    os.makedirs(folder, exist_ok=True)
    os.makedirs(os.path.join(root, 'basic', 'EmoLabel'), exist_ok=True)
    lines, names, points = [], [], []
    for split, counts in (('train', per_class), ('test', per_class if test_per_class is None else test_per_class)):
        counts = [counts] * len(NAMES) if isinstance(counts, int) else counts
        labels = random.permutation(np.repeat(np.arange(len(NAMES)), counts))
        for number, label in enumerate(labels, 1):
            # Every class has its own mouth and brows, so that a network can learn it.
            face = face_points(mouth_open=(label % 3) / 2, smile=(label // 3) - 1.0, brow=(label % 2) * 2.0 - 1)
            face = (face - 0.5) * random.uniform(0.85, 1) + 0.5 + random.uniform(-0.02, 0.02, 2)
            face = (face * size - 0.5).astype(np.float32)
            image = draw_face(face, size, random.integers(120, 220, 3))
            image = cv2.add(image, random.integers(0, 20, image.shape, dtype=np.uint8))
            name = f'{split}_{number:05d}'
            cv2.imwrite(os.path.join(folder, f'{name}_aligned.jpg'), image)
            lines.append(f'{name}.jpg {label + 1}\n')
            names.append(f'{name}_aligned.jpg')
            points.append(face)
    with open(os.path.join(root, 'basic', 'EmoLabel', 'list_patition_label.txt'), 'w') as stream:
        stream.writelines(lines)
    if landmarks:
        np.savez(
            os.path.join(root, 'landmarks68.npz'),
            names=np.array(names),
            points=np.stack(points),
            score=np.ones(len(names), dtype=np.float32),
        )
    return root
