"""How a face is photographed: pose, crop, light, sensor, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mmfer.datasets.synthetic_faces.head_pose import rotation

OCCLUDERS = ('hand_mouth', 'hand_cheek', 'hand_eye', 'mask', 'strand', 'microphone', 'bar')

# Where an aligner puts the midpoint of eyes and mouth, and the length of a face unit, as parts of the picture's side.
_ANCHOR, _UNIT = np.array([0, -0.015]), 0.43
_CAMERA_DISTANCE = 6.0


@dataclass(frozen=True)
class Capture:
    """One shot; the defaults are a frontal, evenly lit, clean portrait.

    Angles are in radians, ``shift`` is in parts of the picture's side, ``blur`` in parts of the side too, ``noise`` in
    grey levels. ``seed`` decides the background and all random texture.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float] = (0.0, -0.3)
    contrast: float = 0.35
    gain: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    noise: float = 0.0
    grey: bool = False
    occluder: str = ''
    seed: int = 0

    def unit(self, size: int) -> float:
        """Pixels of a face unit in a picture of side ``size``."""
        return _UNIT * size * self.scale

    def project(self, size: int, anchors: np.ndarray, points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Projects named arrays [*, 3] of face units to pixels [*, 2]; pixel centres are integers.

        Like an aligner, it puts the mean of ``anchors`` [*, 3] where the crop expects it, up to ``shift``.
        """
        turn = rotation(self.yaw, self.pitch, self.roll)
        unit = self.unit(size)
        origin = size * (0.5 + _ANCHOR + self.shift) - 0.5

        def place(array: np.ndarray) -> np.ndarray:
            turned = array @ turn.T
            return unit * turned[:, :2] / (1 - turned[:, 2:] / _CAMERA_DISTANCE)

        everything = place(np.concatenate([anchors, *points.values()]))
        everything += origin - everything[: len(anchors)].mean(0)
        ends = len(anchors) + np.cumsum([len(array) for array in points.values()])
        return dict(zip(points, np.split(everything[len(anchors) :], ends[:-1] - len(anchors)), strict=True))

    def expose(self, image: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Lights a drawing uint8 [S, S, 3] as an ellipsoid around ``head`` (x, y, radius) and takes the picture."""
        size = len(image)
        grid = np.arange(size, dtype=np.float32)
        x, y = (grid - head[0]) / head[2], (grid[:, None] - head[1]) / (1.3 * head[2])
        depth = 1.26 * np.exp(-0.45 * (x * x + y * y))
        across, down = self.light
        shade = (across * x + down * y + depth) / np.float32(np.sqrt(across**2 + down**2 + 1))
        shade = self.gain * (1 + self.contrast * (np.minimum(shade, 1.2) - 0.95) * 1.4)
        picture = image * np.maximum(shade, 0.12)[..., None] * np.array(self.tint, np.float32)
        if self.gamma != 1:
            picture = 255 * (np.clip(picture, 0, None) / 255) ** np.float32(self.gamma)
        if self.blur * size > 0.2:
            picture = cv2.GaussianBlur(picture, (0, 0), self.blur * size)
        if self.noise:
            picture += self.noise * rng.standard_normal((size, size, 1 if self.grey else 3), np.float32)
        picture = np.clip(picture, 0, 255).astype(np.uint8)
        if self.grey:
            picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        return picture


def sample_capture(rng: np.random.Generator, difficulty: float = 1.0) -> Capture:
    """Draws a shot; ``difficulty`` 0 is a studio portrait, 1 a snapshot from the news."""
    normal = np.clip(rng.normal(0, 1, 12), -2.2, 2.2) * difficulty
    uniform = rng.random(8)
    occluded = rng.random() < 0.13 * difficulty
    return Capture(
        yaw=0.21 * normal[0],
        pitch=0.12 * normal[1],
        roll=0.05 * normal[2],
        scale=1 + 0.045 * normal[3],
        shift=(0.015 * normal[4], 0.015 * normal[5]),
        gaze=(0.4 * normal[6], 0.2 * normal[7]),
        light=(0.7 * normal[8], -0.3 + 0.45 * normal[9]),
        contrast=0.35 + 0.5 * difficulty * uniform[0],
        gain=1 - difficulty * (0.5 * uniform[1] - 0.25),
        gamma=float(np.exp(0.15 * normal[10])),
        tint=tuple(1 + difficulty * 0.1 * (rng.random(3) - 0.5)),
        blur=0.011 * difficulty * uniform[2] ** 2,
        noise=9 * difficulty * uniform[3] ** 2,
        grey=uniform[4] < 0.3 * difficulty,
        occluder=str(rng.choice(OCCLUDERS)) if occluded else '',
        seed=int(rng.integers(2**31)),
    )
