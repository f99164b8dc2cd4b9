"""Paints a face from its control points."""

from __future__ import annotations

import cv2
import numpy as np

from mmfer.datasets.synthetic_faces.accessories import paint_back_hair, paint_front_hair, paint_glasses, paint_occluder
from mmfer.datasets.synthetic_faces.canvas import Canvas, scaled, smooth
from mmfer.datasets.synthetic_faces.capture import Capture
from mmfer.datasets.synthetic_faces.geometry import face_points
from mmfer.datasets.synthetic_faces.person import Person
from mmfer.datasets.synthetic_faces.relief import skin_relief

RENDERER_VERSION = 1
"""Part of the cache key: raise it with every change that moves a pixel."""


def draw_face(person: Person, units: np.ndarray, capture: Capture, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one face; a pure function of its arguments.

    Args:
        person: Whose face.
        units: Activations of the action units, [A].
        capture: Pose, light and the like.
        size: Side of the square picture.

    Returns:
        The picture, BGR uint8 [S, S, 3], and its 68 landmarks in the iBUG order, float32 [68, 2], as (x, y) in pixels
        with pixel centres at integers. Landmarks of hidden features are where the feature would be.
    """
    rng = np.random.default_rng(capture.seed)
    performed = person.perform(units)
    points = face_points(person, performed)
    corners = points['landmarks'][[36, 39, 42, 45, 48, 54]]
    # Weighted so that the mean is the midpoint of eyes and mouth.
    points = capture.project(size, corners[[0, 1, 2, 3, 4, 4, 5, 5]], points)
    marks = points['landmarks']
    unit = capture.unit(size)
    canvas = Canvas(size, 3 if size < 80 else 2)
    _background(canvas, rng)
    paint_back_hair(canvas, person, points, unit)
    _skin(canvas, person, performed, points, unit)
    _beard(canvas, person, marks, unit)
    for eye in (marks[36:42], marks[42:48]):
        _eye(canvas, person, eye, capture.gaze, unit)
    _nostrils(canvas, person, marks, unit)
    _mouth(canvas, person, performed.mean(0), marks, unit)
    for brow in (marks[17:22], marks[26:21:-1]):
        _brow(canvas, person, brow, unit)
    if person.glasses:
        paint_glasses(canvas, person.glasses, marks, unit)
    paint_front_hair(canvas, person, points, unit)
    if capture.occluder:
        paint_occluder(canvas, capture.occluder, person, marks, unit, rng)
    head = np.array([*(0.5 * marks[27] + 0.5 * marks[30]), 0.95 * unit])
    return capture.expose(canvas.shrunk(), head, rng), marks.astype(np.float32)


def _background(canvas: Canvas, rng: np.random.Generator) -> None:
    coarse = rng.uniform(30, 220) + rng.normal(0, 22, 3) + rng.normal(0, 30, (4, 4, 1)) + rng.normal(0, 12, (4, 4, 3))
    side = canvas.image.shape[0]
    canvas.image = cv2.resize(np.clip(coarse, 0, 255).astype(np.uint8), (side, side), interpolation=cv2.INTER_LINEAR)


def _skin(canvas: Canvas, person: Person, units: np.ndarray, points: dict[str, np.ndarray], unit: float) -> None:
    marks, skull = points['landmarks'], points['skull']
    chin, left, right = marks[8], 0.88 * marks[5] + 0.12 * marks[11], 0.12 * marks[5] + 0.88 * marks[11]
    down = np.array([0, canvas.size])
    canvas.fill(np.array([left, right, right + down, left + down]), scaled(person.skin, 0.62))
    shoulder = np.array([0.9 * unit, 0])
    top = chin + np.array([0, 0.32 * unit])
    shirt = [top - 0.5 * shoulder, top + 0.5 * shoulder, top + 2 * shoulder + down, top - 2 * shoulder + down]
    canvas.fill(np.array(shirt), person.clothes)
    for ear in (marks[0], marks[16]):
        canvas.ellipse(ear + np.array([0, 0.1 * unit]), (0.1 * unit, 0.2 * unit), scaled(person.skin, 0.85))
    face = smooth(np.concatenate([marks[:17], skull[-2:0:-1]]), closed=True)
    canvas.fill(face, person.skin)
    canvas.multiply(skin_relief(canvas, person, units, points, face, unit))


def _beard(canvas: Canvas, person: Person, marks: np.ndarray, unit: float) -> None:
    if not person.beard and not person.moustache:
        return
    mask = canvas.layer()
    if person.beard:
        inside = marks[[14, 12]] * 0.8 + marks[[33]] * 0.2
        inside_left = marks[[4, 2]] * 0.8 + marks[[33]] * 0.2
        above = 0.5 * (marks[33] + marks[51])
        hairy = np.concatenate(
            [
                marks[2:15],
                inside,
                marks[[54]] + (0.06 * unit, 0),
                above[None],
                marks[[48]] - (0.06 * unit, 0),
                inside_left,
            ]
        )
        mask.fill(hairy, 255 * person.beard)
    if person.moustache:
        ends = marks[[48, 54]] + np.array([[-0.05, 0.02], [0.05, 0.02]]) * unit
        ridge = 0.45 * marks[[31, 33, 35]] + 0.55 * marks[[50, 51, 52]]
        mask.fill(
            smooth(np.concatenate([ends[:1], ridge, ends[1:], marks[[52, 51, 50]]]), closed=True),
            255 * person.moustache,
        )
    canvas.blend(scaled(person.hair, 0.9), mask.blurred(0.03 * unit))


def _eye(canvas: Canvas, person: Person, eye: np.ndarray, gaze: tuple[float, float], unit: float) -> None:
    corners = eye[[0, 3]]
    upper, lower = smooth(eye[[0, 1, 2, 3]]), smooth(eye[[3, 4, 5, 0]])
    width = float(np.linalg.norm(corners[1] - corners[0]))
    crease = upper - np.array([0, 0.05 * unit])
    if person.eyeshadow:
        canvas.fill(np.concatenate([crease, upper[::-1]]), scaled(person.skin, 1 - 0.5 * person.eyeshadow))
    canvas.line(crease[4:-4], scaled(person.skin, 0.66), 0.02 * unit)
    opening = np.linalg.norm(eye[[1, 2]].mean(0) - eye[[4, 5]].mean(0))
    if opening > 0.012 * unit:
        with canvas.inside(np.concatenate([upper, lower])):
            _eyeball(canvas, person, eye, gaze, width)
    canvas.line(lower, scaled(person.skin, 0.6), 0.014 * unit)
    canvas.line(upper, scaled(person.brow, 0.45), (0.03 + 0.02 * person.eyeshadow) * unit)


def _eyeball(canvas: Canvas, person: Person, eye: np.ndarray, gaze: tuple[float, float], width: float) -> None:
    corners, middle = 0.5 * (eye[0] + eye[3]), eye[[1, 2, 4, 5]].mean(0)
    white = np.clip(np.array(person.skin) * 0.25 + 172, 0, 238)
    canvas.ellipse(corners, (0.8 * width, 0.8 * width), white.tolist())
    # The eyeball hardly moves with the lids.
    centre = corners * (0.5, 0.75) + middle * (0.5, 0.25) + np.array(gaze) * 0.18 * width - (0, 0.04 * width)
    radius = 0.235 * width
    canvas.ellipse(centre, (radius, radius), scaled(person.iris, 0.6))
    canvas.ellipse(centre, (0.82 * radius, 0.82 * radius), person.iris)
    canvas.ellipse(centre, (0.45 * radius, 0.45 * radius), (12, 12, 12))
    canvas.ellipse(centre + np.array([0.35, -0.35]) * radius, (0.18 * radius, 0.18 * radius), (240, 240, 240))


def _nostrils(canvas: Canvas, person: Person, marks: np.ndarray, unit: float) -> None:
    for wing, near in ((31, 32), (35, 34)):
        bulge = marks[wing] + (0.012 * unit * np.sign(wing - 33), -0.02 * unit)
        alar = np.array([marks[wing] - (0, 0.07 * unit), bulge, marks[near]])
        canvas.line(smooth(alar), scaled(person.skin, 0.62), 0.022 * unit)
        nostril = 0.25 * marks[wing] + 0.75 * marks[near] - np.array([0, 0.012 * unit])
        canvas.ellipse(nostril, (0.042 * unit, 0.02 * unit), scaled(person.skin, 0.35))
    canvas.line(smooth(marks[32:35]), scaled(person.skin, 0.68), 0.016 * unit)


def _mouth(canvas: Canvas, person: Person, unit_values: np.ndarray, marks: np.ndarray, unit: float) -> None:
    mouth = marks[48:68]
    top, bottom = smooth(mouth[:7]), smooth(mouth[[6, 7, 8, 9, 10, 11, 0]])
    inner_top, inner_bottom = smooth(mouth[12:17]), smooth(mouth[[16, 17, 18, 19, 12]])
    opening = float(mouth[18, 1] - mouth[14, 1])
    canvas.fill(np.concatenate([top, bottom]), person.lips)
    upper = np.concatenate([top, mouth[[16]], inner_top[::-1]])
    canvas.fill(upper, scaled(person.lips, 0.84))
    if opening > 0.02 * unit:
        _open_mouth(canvas, mouth, inner_top, inner_bottom, unit_values, opening, unit)
    else:
        seam = np.concatenate([mouth[:1], mouth[12:17], mouth[6:7]])
        canvas.line(smooth(seam), scaled(person.lips, 0.42), 0.025 * unit)
    for corner, inside in ((mouth[0], mouth[12]), (mouth[6], mouth[16])):
        canvas.line(np.stack([corner, inside]), scaled(person.lips, 0.42), 0.025 * unit)


def _open_mouth(
    canvas: Canvas,
    mouth: np.ndarray,
    inner_top: np.ndarray,
    inner_bottom: np.ndarray,
    units: np.ndarray,
    opening: float,
    unit: float,
) -> None:
    (_, _, brow_lower, _, _, _, _, lip_raise, pull, _, _, stretch, _, _, jaw, _) = units
    hole = np.concatenate([inner_top, inner_bottom])
    canvas.fill(hole, (30, 22, 48))
    outline = inner_bottom[::-1]
    if opening > 0.14 * unit:
        tongue = outline + np.minimum(0, -0.35 * (outline[:, 1:] - inner_top[:, 1:])) * (0, 1)
        canvas.fill(np.concatenate([outline, tongue[::-1]]), (78, 74, 150))
    shows = min(1.0, 0.35 + pull + lip_raise + 0.8 * stretch + 0.5 * brow_lower - 0.2 * jaw)
    share = np.clip(0.13 * unit * shows / opening, 0, 0.95)
    teeth = inner_top + share * (outline - inner_top)
    canvas.fill(np.concatenate([inner_top, teeth[::-1]]), (206, 222, 228))
    if stretch + lip_raise + 0.6 * brow_lower > 0.7 and opening > 0.09 * unit:
        lower = outline - 0.3 * (outline - inner_top)
        canvas.fill(np.concatenate([outline, lower[::-1]]), (188, 204, 212))
    canvas.line(inner_top, (24, 20, 50), 0.016 * unit)


def _brow(canvas: Canvas, person: Person, brow: np.ndarray, unit: float) -> None:
    middle = smooth(brow, steps=4)
    along = np.linspace(0, 1, len(middle))
    # Thick near the nose, thin at the temple; ``brow`` runs from the temple inwards.
    thickness = 0.012 + 0.05 * person.brow_weight * np.minimum(along * 1.6, 1) * (1 - 0.35 * along**6)
    up = np.array([0, -unit]) * thickness[:, None]
    canvas.fill(np.concatenate([middle + 0.5 * up, (middle - 0.6 * up)[::-1]]), person.brow)
