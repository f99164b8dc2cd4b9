"""Whether a picture may be an aligned face such as those that a network was trained on, as far as its size tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmfer.engine.hooks.training_faces import TRAINING_FACES

ASPECT = 1.3
"""Beyond the aspects seen in training by this factor a picture is none of them; an ordinary photo is 4 : 3."""
LARGER, FAR_LARGER = 1.5, 4.0
"""Larger by the first factor is worth a word; by the second it is hardly a face that was cut out."""


@dataclass(frozen=True)
class TrainingFaces:
    """What `TrainingFacesHook` kept: how many faces, and the usual range of their width, height and aspect."""

    faces: int
    width: tuple[float, float]
    height: tuple[float, float]
    aspect: tuple[float, float]

    def __str__(self) -> str:
        sizes = [f'{width:.0f} x {height:.0f}' for width, height in zip(self.width, self.height, strict=True)]
        return ' to '.join(dict.fromkeys(sizes))

    def is_unlike(self, width: int, height: int) -> bool:
        """Whether a picture is no such face: of another shape, or far larger."""
        low, high = self.aspect
        return not low / ASPECT < width / height < high * ASPECT or self._times(width, height) > FAR_LARGER

    def is_larger(self, width: int, height: int) -> bool:
        """Whether a picture is larger than such a face, which a photo is, and a well resolved face, too."""
        return self._times(width, height) > LARGER

    def _times(self, width: int, height: int) -> float:
        return max(width / self.width[1], height / self.height[1])


def training_faces(checkpoint: Mapping[str, Any]) -> TrainingFaces | None:
    """What a checkpoint says about the faces of its training; None where it does not."""
    try:
        found = dict(checkpoint['meta'][TRAINING_FACES])
        ranges = {key: tuple(map(float, found[key])) for key in ('width', 'height', 'aspect')}
        usable = all(len(value) == 2 and 0 < value[0] <= value[1] < float('inf') for value in ranges.values())
        return TrainingFaces(int(found['faces']), **ranges) if usable else None
    except (KeyError, TypeError, ValueError):
        return None
