"""The built-in dataset: faces drawn on first use."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mmfer.datasets.face_dataset import FaceDataset
from mmfer.datasets.labels.schema import ORDERS, label_map
from mmfer.datasets.synthetic_faces.action_units import CLASSES, mix_units, sample_distribution
from mmfer.datasets.synthetic_faces.cache import cached
from mmfer.datasets.synthetic_faces.capture import sample_capture
from mmfer.datasets.synthetic_faces.draw import RENDERER_VERSION, draw_face
from mmfer.datasets.synthetic_faces.person import sample_person
from mmfer.progress import ProgressBar
from mmfer.registry import DATASETS

_RAFDB_COUNTS = np.array([1290, 281, 717, 4772, 1982, 705, 2524])
_GOLDEN_RATIO = (5**0.5 - 1) / 2
_SPLIT_CODES = dict(train=0, test=1)
_PEOPLE_APART = 10_000_000
"""Identities of the splits start this far apart; people with different identities are independent draws."""


@DATASETS.register_module()
class SyntheticFaces(FaceDataset):
    """Parametric faces with known expressions: needs no files, and everything about them is known.

    Expressions are action-unit vectors, drawn on people of different shape, skin, hair and age, seen under different
    poses and light, some of them blurred, noisy, grey or partly hidden. A part of the faces shows a blend of two
    expressions; the label is what shows most. Beside the columns of :class:`FaceDataset` there are
    ``true_distribution`` float32 [N, K], the shares of the expressions in a face (its argmax is the clean label), and
    ``identity``; no person is in two splits. Landmarks are exact.

    A face depends on ``seed``, split and its index only: the first 100 of 2,000 faces are the faces of ``num=100``.
    Faces are drawn once, some 300 a second, and kept in ``cache_dir``.

    Args:
        split: 'train' or 'test'; 'val' with ``holdout``. Defaults to 'train'.
        num: Number of faces. Defaults to 2000.
        size: Side of the square pictures in pixels. Defaults to 64.
        seed: Of all draws. Defaults to 0.
        imbalance: Class frequencies are those of RAF-DB's training set to this power: 1 is RAF-DB, 0 balanced.
            Defaults to 0.5.
        blend: Share of the faces that show two expressions. Defaults to 0.3.
        difficulty: 0 draws frontal, clean, full-blown expressions, 1 everyday snapshots. Defaults to 1.
        faces_per_person: Pictures of each person. Defaults to 8.
        label: 'expression', or 'person': who it is, for networks that first learn to recognise faces, as those do that
            published methods start from. Defaults to 'expression'.
        cache_dir: Folder of the drawn faces. None draws anew each time. Defaults to 'data/synthetic_faces'.
        kwargs: ``label_noise``, ``holdout``, ``pipeline`` and the other arguments of :class:`FaceDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(classes=ORDERS['rafdb'])

    def __init__(
        self,
        split: str = 'train',
        num: int = 2000,
        size: int = 64,
        seed: int = 0,
        imbalance: float = 0.5,
        blend: float = 0.3,
        difficulty: float = 1.0,
        faces_per_person: int = 8,
        label: str = 'expression',
        cache_dir: str | None = 'data/synthetic_faces',
        **kwargs: Any,
    ):
        for name, value, least in (
            ('num', num, 1),
            ('size', size, 16),
            ('seed', seed, 0),
            ('faces_per_person', faces_per_person, 1),
        ):
            if int(value) != value or value < least:
                raise ValueError(f'SyntheticFaces needs {name} to be a whole number of at least {least}, got {value!r}')
        for name, share, most in (('imbalance', imbalance, 2), ('blend', blend, 1), ('difficulty', difficulty, 2)):
            if not 0 <= share <= most:
                raise ValueError(f'SyntheticFaces needs {name} between 0 and {most}, got {share!r}')
        if label not in ('expression', 'person'):
            raise ValueError(f"SyntheticFaces(label=...) is 'expression' or 'person', got {label!r}")
        self.people = [f'person {i}' for i in range(-(-num // faces_per_person))] if label == 'person' else None
        if self.people:
            kwargs['metainfo'] = dict(classes=self.people)
        self.cache_dir = cache_dir
        self.drawing = dict(
            num=num,
            size=size,
            seed=seed,
            imbalance=imbalance,
            blend=blend,
            difficulty=difficulty,
            faces_per_person=faces_per_person,
        )
        super().__init__(split=split, **kwargs)

    def load_columns(self) -> dict[str, np.ndarray]:
        """Reads the drawn faces from the cache, or draws them."""
        recipe = dict(self.drawing, split=self.source_split, version=RENDERER_VERSION)
        images, columns = cached(self.cache_dir, recipe, lambda: draw_columns(split=self.source_split, **self.drawing))
        if self.people:
            self.source_classes = tuple(self.people)
            columns['label'] = columns['identity'] - columns['identity'][0]
            del columns['true_distribution']
        return dict(columns, image=images)

    def full_init(self) -> None:
        """Reads the columns, and brings the true distributions into the order of the classes asked for."""
        if self._fully_initialized:
            return
        super().full_init()
        classes = self._metainfo['classes']
        if 'true_distribution' in self.columns and (classes != CLASSES or self.drop_classes):
            to = label_map(CLASSES, classes, self.drop_classes)
            mapped = np.zeros((len(self), len(classes)), np.float32)
            mapped[:, to[to >= 0]] = self.columns['true_distribution'][:, to >= 0]
            self.columns['true_distribution'] = mapped / mapped.sum(1, keepdims=True)


def class_labels(num: int, imbalance: float, seed: int, split: str) -> np.ndarray:
    """Labels int64 [num] whose counts follow RAF-DB's to the power ``imbalance``, within one or two for any ``num``.

    A golden-ratio sequence instead of independent draws: every prefix has the right frequencies.
    """
    frequency = _RAFDB_COUNTS.astype(float) ** imbalance
    start = np.random.default_rng((seed, 2, _SPLIT_CODES[split])).random()
    position = (start + _GOLDEN_RATIO * np.arange(num)) % 1
    return np.searchsorted(np.cumsum(frequency / frequency.sum())[:-1], position, side='right').astype(np.int64)


def draw_columns(
    split: str, num: int, size: int, seed: int, imbalance: float, blend: float, difficulty: float, faces_per_person: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draws a split.

    Returns:
        The pictures, BGR uint8 [N, S, S, 3], and the other columns of :meth:`FaceDataset.load_columns`.
    """
    label = class_labels(num, imbalance, seed, split)
    identity = _SPLIT_CODES[split] * _PEOPLE_APART + np.arange(num) // faces_per_person
    images = np.empty((num, size, size, 3), np.uint8)
    landmarks = np.empty((num, 68, 2), np.float32)
    distribution = np.empty((num, len(CLASSES)), np.float32)
    person, known = None, -1
    for index in ProgressBar(range(num), desc=f'drawing {num:,} synthetic faces ({split})', unit='face'):
        if identity[index] != known:
            known = int(identity[index])
            person = sample_person(seed, known)
        rng = np.random.default_rng((seed, 0, _SPLIT_CODES[split], index))
        distribution[index] = sample_distribution(int(label[index]), blend, rng)
        units = mix_units(distribution[index], rng, difficulty)
        images[index], landmarks[index] = draw_face(person, units, sample_capture(rng, difficulty), size)
    name = np.array([f'{split}_{index:06d}_seed{seed}' for index in range(num)])
    return images, dict(name=name, label=label, identity=identity, true_distribution=distribution, landmarks=landmarks)
