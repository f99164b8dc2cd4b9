"""Hair, glasses, and things in front of a face."""

from __future__ import annotations

import numpy as np

from mmfer.datasets.synthetic_faces.canvas import Canvas, scaled, smooth
from mmfer.datasets.synthetic_faces.person import Person


def _grown(points: np.ndarray, marks: np.ndarray, factor: float) -> np.ndarray:
    middle = marks[27]
    return middle + factor * (points - middle)


def paint_back_hair(canvas: Canvas, person: Person, points: dict[str, np.ndarray], unit: float) -> None:
    """What hangs behind head and neck."""
    marks, skull = points['landmarks'], points['skull']
    if person.hair_style in ('long', 'long_fringe', 'scarf'):
        around = _grown(skull, marks, 1.2)
        sides = np.array(
            [
                marks[14] + (0.34 * unit, 0.1 * unit),
                marks[12] + (0.5 * unit, 1.2 * unit),
                marks[4] + (-0.5 * unit, 1.2 * unit),
                marks[2] + (-0.34 * unit, 0.1 * unit),
            ]
        )
        colour = person.clothes if person.hair_style == 'scarf' else scaled(person.hair, 0.75)
        canvas.fill(smooth(np.concatenate([around, sides]), closed=True), colour)
    elif person.hair_style == 'curly':
        _curls(canvas, person, _grown(skull, marks, 1.1), 0.26 * unit, 0.8)


def paint_front_hair(canvas: Canvas, person: Person, points: dict[str, np.ndarray], unit: float) -> None:
    """What frames or covers the forehead."""
    marks, skull, style = points['landmarks'], points['skull'], person.hair_style
    rng = np.random.default_rng(person.seed)
    across = np.linspace(-1, 1, len(skull))
    if style == 'scarf':
        ring = smooth(np.concatenate([skull, marks[15:0:-1]]), closed=True)
        canvas.line(ring, person.clothes, 0.22 * unit, closed=True)
        return
    # The hairline as a share of the way from the top of the skull to the brows.
    depth = rng.uniform(0.1, 0.3) * np.ones_like(across)
    if style == 'bald':
        depth = np.clip(np.abs(across) - 0.62, 0, None) * rng.uniform(0, 0.5)
    elif style in ('fringe', 'long_fringe'):
        depth = rng.uniform(0.5, 0.72) + 0.06 * np.sin(9 * across + rng.uniform(0, 6))
    elif style == 'parted':
        depth = 0.18 + 0.22 * np.abs(across - rng.choice((-0.4, 0.4)))
    elif style == 'hat':
        depth = rng.uniform(0.38, 0.55) - 0.08 * across**2
    elif style == 'short':
        depth = depth + 0.1 * np.cos(6 * across) * (person.age - 0.2)
    outer = _grown(skull, marks, 1.0 if style == 'bald' else 1.07)
    level = np.array([0, 1.0]) * (marks[[19, 24]].mean(0)[1] - skull[6, 1])
    hairline = skull + depth[:, None] * level * (1 - across[:, None] ** 4)
    if style != 'bald':
        hairline += 0.04 * (marks[27] - skull)
    if style in ('long', 'long_fringe', 'curly'):
        hairline[[0, -1]] += (0, 0.35 * unit)
    colour = person.clothes if style == 'hat' else person.hair
    canvas.fill(np.concatenate([smooth(outer), smooth(hairline)[::-1]]), colour)
    if style == 'hat':
        canvas.line(smooth(hairline), scaled(colour, 0.6), 0.07 * unit)
    elif style == 'curly':
        _curls(canvas, person, 0.5 * (outer + hairline), 0.15 * unit, 1.0)
    elif style != 'bald':
        roots, ends = smooth(outer, steps=3), smooth(hairline, steps=3)
        strands = np.stack([roots, ends], 1)[1:-1]
        for factor, chosen in ((0.82, rng.random(len(strands)) < 0.45), (1.15, rng.random(len(strands)) < 0.35)):
            canvas.line(strands[chosen], scaled(colour, factor), 0.022 * unit)


def _curls(canvas: Canvas, person: Person, path: np.ndarray, radius: float, shade: float) -> None:
    rng = np.random.default_rng(person.seed + 1)
    for position in smooth(path, steps=2):
        at = position + rng.normal(0, 0.2 * radius, 2)
        canvas.ellipse(at, (radius, radius), scaled(person.hair, shade * rng.uniform(0.75, 1.1)))


def paint_glasses(canvas: Canvas, kind: str, marks: np.ndarray, unit: float) -> None:
    """Spectacles; ``sun`` hides the eyes."""
    frame = (30, 28, 34)
    centres = [marks[36:42].mean(0), marks[42:48].mean(0)]
    half = np.array([0.24, 0.17 if kind == 'square' else 0.2]) * unit
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    if kind == 'square':
        circle = np.sign(circle) * np.abs(circle) ** 0.5
    for centre in centres:
        rim = centre + (0, 0.02 * unit) + half * circle
        if kind == 'sun':
            canvas.fill(rim, (34, 30, 30))
        canvas.line(rim, frame, 0.032 * unit, closed=True)
    canvas.line(np.stack([centres[0] + (half[0], 0), centres[1] - (half[0], 0)]), frame, 0.035 * unit)
    canvas.line(np.stack([centres[0] - (half[0], 0), marks[0]]), frame, 0.03 * unit)
    canvas.line(np.stack([centres[1] + (half[0], 0), marks[16]]), frame, 0.03 * unit)


def paint_occluder(
    canvas: Canvas, kind: str, person: Person, marks: np.ndarray, unit: float, rng: np.random.Generator
) -> None:
    """A hand, a mask, a strand of hair, a microphone or a flat bar in front of the face."""
    side = rng.choice((-1.0, 1.0))
    edge = canvas.size * (0.5 + 0.6 * side)
    if kind.startswith('hand'):
        target = {
            'hand_mouth': marks[48:60].mean(0),
            'hand_cheek': marks[4 if side < 0 else 12],
            'hand_eye': marks[36:42].mean(0) if side < 0 else marks[42:48].mean(0),
        }[kind]
        target = target + rng.normal(0, 0.12 * unit, 2)
        root = np.array([edge, target[1] + unit * rng.uniform(0.2, 0.8)])
        reach = (target - root) / (np.linalg.norm(target - root) + 1e-6)
        sideways = np.array([-reach[1], reach[0]])
        palm = target - 0.55 * unit * reach
        canvas.line(np.stack([root, palm]), scaled(person.skin, 0.9), 0.5 * unit)
        for finger in range(4):
            start = palm + sideways * unit * (0.18 - 0.12 * finger)
            tip = target + sideways * unit * (0.2 - 0.13 * finger) - reach * unit * 0.06 * abs(finger - 1.4)
            canvas.line(np.stack([start, tip]), scaled(person.skin, 0.72), 0.15 * unit)
            canvas.line(np.stack([start, tip]), scaled(person.skin, 0.97), 0.115 * unit)
    elif kind == 'mask':
        colour = ((225, 215, 190), (235, 235, 235), (60, 50, 50))[rng.integers(3)]
        top = marks[[2, 31, 29, 35, 14]] + (0, rng.uniform(0, 0.3) * unit)
        canvas.fill(np.concatenate([top, marks[13:2:-1]]), colour)
        canvas.line(top, scaled(colour, 0.8), 0.03 * unit)
    elif kind == 'strand':
        start = marks[19 if side < 0 else 24] + np.array([rng.uniform(-0.2, 0.2), -0.6]) * unit
        for _ in range(int(rng.integers(3, 8))):
            bend = rng.normal(0, 0.12, (3, 2)) * unit
            path = start + np.array([(0, 0), (0.1 * side, 0.5), (0.2 * side, 1.1)]) * unit + bend
            canvas.line(smooth(path), scaled(person.hair, rng.uniform(0.7, 1.2)), 0.045 * unit)
    elif kind == 'microphone':
        head = marks[8] + np.array([0.3 * side, -rng.uniform(0.1, 0.35)]) * unit
        canvas.line(np.stack([head, head + np.array([0.5 * side, 1.2]) * unit]), (40, 40, 44), 0.14 * unit)
        canvas.ellipse(head, (0.2 * unit, 0.2 * unit), (50, 48, 46))
        canvas.ellipse(head - (0.05 * unit, 0.06 * unit), (0.07 * unit, 0.07 * unit), (90, 88, 86))
    else:
        centre = marks[17:].mean(0) + rng.normal(0, 0.35, 2) * unit
        half = rng.uniform(0.15, 0.35, 2) * unit
        corners = centre + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        canvas.fill(corners, tuple(rng.uniform(0, 255, 3)))
