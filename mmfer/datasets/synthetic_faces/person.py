"""Who is seen: everything about a face that is not its expression."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mmfer.datasets.synthetic_faces.action_units import UNITS

Colour = tuple[float, float, float]

# BGR, dark to pale.
_SKIN = np.array(
    [(52, 70, 104), (68, 94, 138), (84, 118, 166), (118, 154, 200), (150, 182, 224), (178, 204, 238)], float
)
_HAIR = np.array(
    [
        (22, 22, 26),
        (28, 36, 50),
        (38, 58, 86),
        (70, 116, 158),
        (110, 168, 206),
        (40, 70, 150),
        (140, 142, 146),
        (214, 216, 218),
    ],
    float,
)
_IRIS = np.array([(30, 46, 70), (44, 70, 106), (146, 112, 70), (96, 128, 92), (110, 110, 104)], float)

HAIR_STYLES = ('bald', 'short', 'parted', 'fringe', 'long', 'long_fringe', 'curly', 'hat', 'scarf')
_STYLE_ODDS = (0.1, 0.24, 0.16, 0.08, 0.16, 0.08, 0.1, 0.05, 0.03)


@dataclass(frozen=True)
class Person:
    """Shape, colours and habits of one face; sizes are factors of the average face.

    ``gain`` and ``rest`` are how strongly each action unit shows in this person and what the face does at rest;
    ``asymmetry`` [2, A] is how the two sides share it.
    """

    face_width: float = 1.0
    jaw_width: float = 1.0
    chin: float = 1.0
    forehead: float = 1.0
    eye_size: float = 1.0
    eye_open: float = 1.0
    eye_gap: float = 1.0
    eye_tilt: float = 0.0
    brow_height: float = 0.0
    brow_arch: float = 1.0
    brow_weight: float = 1.0
    nose_width: float = 1.0
    nose_length: float = 1.0
    mouth_width: float = 1.0
    mouth_height: float = 0.0
    upper_lip: float = 1.0
    lower_lip: float = 1.0
    age: float = 0.3
    skin: Colour = (150, 182, 224)
    hair: Colour = (28, 36, 50)
    iris: Colour = (44, 70, 106)
    lips: Colour = (104, 108, 178)
    brow: Colour = (30, 38, 52)
    clothes: Colour = (120, 100, 80)
    hair_style: str = 'short'
    beard: float = 0.0
    moustache: float = 0.0
    glasses: str = ''
    eyeshadow: float = 0.0
    seed: int = 0
    gain: np.ndarray = field(default_factory=lambda: np.ones(len(UNITS)), compare=False)
    rest: np.ndarray = field(default_factory=lambda: np.zeros(len(UNITS)), compare=False)
    asymmetry: np.ndarray = field(default_factory=lambda: np.ones((2, len(UNITS))), compare=False)

    def perform(self, units: np.ndarray) -> np.ndarray:
        """The activations [A] of an expression as this person shows them, [2, A] for the two sides."""
        return np.clip((self.rest + self.gain * units) * self.asymmetry, 0, 1.25)


def _between(palette: np.ndarray, at: float) -> np.ndarray:
    position = at * (len(palette) - 1)
    lower = min(int(position), len(palette) - 2)
    return palette[lower] + (position - lower) * (palette[lower + 1] - palette[lower])


def _colour(values: np.ndarray) -> Colour:
    blue, green, red = np.clip(values, 0, 255).tolist()
    return blue, green, red


def sample_person(seed: int, identity: int) -> Person:
    """The person with the number ``identity``; two different numbers are two independent draws."""
    rng = np.random.default_rng((seed, 1, identity))

    def spread(scale: float) -> float:
        return float(np.clip(rng.normal(0, scale), -2.2 * scale, 2.2 * scale))

    woman = rng.random() < 0.5
    age = float(rng.beta(1.6, 2.2))
    skin = _between(_SKIN, rng.random()) + rng.normal(0, 5, 3)
    # Greys with age; otherwise the first six colours, dark ones more often.
    grey = rng.random() < 1.3 * (age - 0.35)
    hair = _HAIR[rng.integers(6, 8)] if grey else _HAIR[min(int(6 * rng.random() ** 1.6), 5)]
    hair = hair * rng.uniform(0.85, 1.15)
    lips = skin * (0.72, 0.68, 0.86) + rng.normal(0, 5, 3)
    if woman and rng.random() < 0.45:
        lips = np.array(((60, 40, 190), (90, 80, 200), (70, 40, 120))[rng.integers(3)]) * rng.uniform(0.8, 1.1)
    odds = np.array(_STYLE_ODDS) * (
        (0.02, 0.5, 1, 1, 2.5, 2.5, 1, 0.6, 2) if woman else (1, 1, 1, 0.8, 0.15, 0.1, 1, 1, 0)
    )
    bearded = not woman and rng.random() < 0.4
    return Person(
        face_width=1 + spread(0.055),
        jaw_width=1 + spread(0.075) - 0.03 * woman,
        chin=1 + spread(0.05) - 0.02 * woman,
        forehead=1 + spread(0.06),
        eye_size=1 + spread(0.09) + 0.04 * woman,
        eye_open=1 + spread(0.16),
        eye_gap=1 + spread(0.04),
        eye_tilt=spread(0.1),
        brow_height=spread(0.025) - 0.015 * woman,
        brow_arch=1 + spread(0.4),
        brow_weight=float(np.clip(1 + spread(0.25) - 0.2 * woman, 0.4, 1.6)),
        nose_width=1 + spread(0.11),
        nose_length=1 + spread(0.06),
        mouth_width=1 + spread(0.08),
        mouth_height=spread(0.02),
        upper_lip=1 + spread(0.22) + 0.1 * woman,
        lower_lip=1 + spread(0.18) + 0.1 * woman,
        age=age,
        skin=_colour(skin),
        hair=_colour(hair),
        iris=_colour(_IRIS[rng.integers(len(_IRIS))]),
        lips=_colour(lips),
        brow=_colour(0.75 * hair + 0.1 * skin),
        clothes=_colour(rng.uniform(20, 235, 3)),
        hair_style=str(rng.choice(HAIR_STYLES, p=odds / odds.sum())),
        beard=float(rng.uniform(0.25, 0.9)) if bearded else 0.0,
        moustache=float(rng.uniform(0.3, 0.95)) if bearded or (not woman and rng.random() < 0.08) else 0.0,
        glasses=('round', 'square', 'sun')[int(rng.choice(3, p=(0.45, 0.47, 0.08)))] if rng.random() < 0.2 else '',
        eyeshadow=float(rng.uniform(0.2, 0.7)) if woman and rng.random() < 0.5 else 0.0,
        seed=int(rng.integers(2**31)),
        gain=rng.uniform(0.7, 1.2, len(UNITS)),
        rest=0.14 * rng.random(len(UNITS)) ** 2,
        asymmetry=1 + rng.normal(0, 0.07, (2, len(UNITS))),
    )
