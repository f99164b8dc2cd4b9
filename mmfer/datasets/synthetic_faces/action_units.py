"""Expressions as mixtures of facial action units (FACS)."""

from __future__ import annotations

import numpy as np

from mmfer.datasets.labels.schema import ORDERS

CLASSES = ORDERS['rafdb']
"""The seven basic expressions in RAF-DB's order."""

UNITS = (
    'inner_brow_raise',  # AU1
    'outer_brow_raise',  # AU2
    'brow_lower',  # AU4
    'lid_raise',  # AU5
    'cheek_raise',  # AU6
    'lid_tighten',  # AU7
    'nose_wrinkle',  # AU9
    'upper_lip_raise',  # AU10
    'corner_pull',  # AU12
    'corner_depress',  # AU15
    'chin_raise',  # AU17
    'lip_stretch',  # AU20
    'lip_press',  # AU23, AU24
    'lips_part',  # AU25
    'jaw_drop',  # AU26, AU27
    'eyes_close',  # AU43
)

# The prototypes of EMFACS (Ekman and Friesen): people show the same emotion in more than one way, so most classes have
# several. Numbers are activations of a full-blown expression; 1 is the strongest a typical person can do.
_PROTOTYPES: dict[str, tuple[dict[str, float], ...]] = {
    'surprise': (
        dict(inner_brow_raise=0.9, outer_brow_raise=1, lid_raise=0.9, lips_part=0.8, jaw_drop=0.75),
        dict(inner_brow_raise=1, outer_brow_raise=0.9, lid_raise=0.7, lips_part=0.6, jaw_drop=0.3),
    ),
    'fear': (
        dict(
            inner_brow_raise=1,
            outer_brow_raise=0.45,
            brow_lower=0.7,
            lid_raise=1,
            lid_tighten=0.2,
            lip_stretch=1,
            lips_part=0.8,
            jaw_drop=0.3,
        ),
        dict(
            inner_brow_raise=0.9,
            outer_brow_raise=0.3,
            brow_lower=0.8,
            lid_raise=0.9,
            lip_stretch=0.7,
            lips_part=0.7,
            jaw_drop=0.45,
        ),
    ),
    'disgust': (
        dict(
            brow_lower=0.5,
            nose_wrinkle=1,
            upper_lip_raise=0.9,
            lid_tighten=0.6,
            cheek_raise=0.3,
            corner_depress=0.35,
            chin_raise=0.4,
            lips_part=0.1,
        ),
        dict(
            brow_lower=0.4,
            nose_wrinkle=0.9,
            upper_lip_raise=1,
            lid_tighten=0.5,
            lips_part=0.8,
            jaw_drop=0.15,
            corner_depress=0.3,
        ),
    ),
    'happiness': (
        dict(cheek_raise=0.8, corner_pull=1, lips_part=0.8, lid_tighten=0.15),
        dict(cheek_raise=0.6, corner_pull=0.9),
        dict(cheek_raise=1, corner_pull=1, lips_part=1, jaw_drop=0.4, lid_tighten=0.2),
    ),
    'sadness': (
        dict(inner_brow_raise=0.9, brow_lower=0.6, corner_depress=0.9, chin_raise=0.5, eyes_close=0.22),
        dict(inner_brow_raise=0.7, brow_lower=0.5, corner_depress=1, chin_raise=0.8, lip_press=0.2, eyes_close=0.3),
    ),
    'anger': (
        dict(brow_lower=1, lid_raise=0.35, lid_tighten=0.6, lip_press=1, chin_raise=0.35),
        dict(
            brow_lower=1,
            lid_raise=0.4,
            lid_tighten=0.5,
            upper_lip_raise=0.35,
            lips_part=1,
            jaw_drop=0.2,
            lip_stretch=0.3,
        ),
    ),
    'neutral': ({},),
}

# What people mix up, and so what a blend is likely to be made of.
_NEIGHBOURS = {
    'surprise': ('fear', 'happiness', 'neutral'),
    'fear': ('surprise', 'sadness', 'neutral'),
    'disgust': ('anger', 'sadness', 'neutral'),
    'happiness': ('neutral', 'surprise', 'neutral'),
    'sadness': ('neutral', 'fear', 'disgust'),
    'anger': ('disgust', 'neutral', 'sadness'),
    'neutral': ('sadness', 'happiness', 'anger'),
}


def _vector(units: dict[str, float]) -> np.ndarray:
    return np.array([units.get(name, 0.0) for name in UNITS])


PROTOTYPES = tuple(tuple(_vector(units) for units in _PROTOTYPES[name]) for name in CLASSES)


def sample_distribution(label: int, blend: float, rng: np.random.Generator) -> np.ndarray:
    """Draws what a face of the class ``label`` truly shows: one expression, or a blend of two.

    Args:
        label: The class that is to win.
        blend: Probability of a blend. The class then keeps a share of 0.55 to 0.9 and an expression that people
            confuse with it gets the rest; a rest of neutral is a faint expression.
        rng: Source of randomness.

    Returns:
        Float32 [K], sums to 1; its largest entry is ``label``.
    """
    distribution = np.zeros(len(CLASSES), np.float32)
    is_blend, share, which = rng.random(3)
    distribution[label] = 1
    if is_blend < blend:
        neighbours = _NEIGHBOURS[CLASSES[label]]
        other = CLASSES.index(neighbours[int(which * len(neighbours))])
        distribution[label] = 0.55 + 0.35 * share
        distribution[other] = 1 - distribution[label]
    return distribution


def mix_units(distribution: np.ndarray, rng: np.random.Generator, difficulty: float = 1.0) -> np.ndarray:
    """Turns shares of expressions into activations of the action units.

    Args:
        distribution: Shares of the classes, [K].
        rng: Source of randomness: which variant of each prototype, how strong, how cleanly performed.
        difficulty: 0 is the textbook prototype at full strength; 1 the spread of everyday faces.

    Returns:
        Activations [A] from 0 to about 1.2, in the order of :data:`UNITS`.
    """
    units = np.zeros(len(UNITS))
    for share, variants in zip(distribution, PROTOTYPES, strict=True):
        draw, strength = rng.random(2)
        if share > 0:
            variant = variants[int(draw * len(variants)) if difficulty > 0 else 0]
            units += share * (1 + difficulty * (0.6 * strength - 0.4)) * variant
    # Nobody moves exactly the prototype's muscles, and mouths move for speech, eyes for blinks.
    units *= 1 + difficulty * rng.uniform(-0.4, 0.3, len(UNITS))
    units += difficulty * 0.12 * rng.random(len(UNITS)) * (rng.random(len(UNITS)) < 0.3)
    speaks, parted, opened, blinks = rng.random(4)
    if speaks < 0.15 * difficulty:
        units[UNITS.index('lips_part')] += 0.6 * parted
        units[UNITS.index('jaw_drop')] += 0.25 * opened
    if blinks < 0.03 * difficulty:
        units[UNITS.index('eyes_close')] += 0.9
    return np.clip(units, 0, 1.2)
