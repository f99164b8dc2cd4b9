"""Light and shade of the skin: the forms of a face, and the creases that an expression folds into it."""

from __future__ import annotations

import cv2
import numpy as np

from mmfer.datasets.synthetic_faces.action_units import UNITS
from mmfer.datasets.synthetic_faces.canvas import Canvas, smooth
from mmfer.datasets.synthetic_faces.person import Person


def skin_relief(
    canvas: Canvas, person: Person, units: np.ndarray, points: dict[str, np.ndarray], outline: np.ndarray, unit: float
) -> np.ndarray:
    """What the skin is multiplied by.

    Args:
        canvas: Gives the size.
        person: Older skin folds deeper.
        units: Performed activations of the two sides, [2, A].
        points: Projected control points.
        outline: Outline of the face, [P, 2].
        unit: Pixels of one face unit.

    Returns:
        uint8 of the canvas' full size; 128 is flat, less a shadow, more a highlight.
    """
    sides = [dict(zip(UNITS, side, strict=True)) for side in units]
    wide = Canvas(canvas.size, 1, 1, 128)
    _forms(wide, points, outline, sides, unit)
    fine = Canvas(canvas.size, canvas.oversampling, 1, 128)
    for name, side in zip(('left', 'right'), sides, strict=True):
        _creases(fine, {fold: points[f'{fold}_{name}'] for fold in _FOLDS}, side, person.age, unit)
    forms = cv2.resize(wide.blurred(0.055 * unit), fine.image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(forms, fine.blurred(0.012 * unit), scale=1 / 128)


_FOLDS = ('nasolabial', 'marionette', 'under_eye', 'glabella', 'chin', 'crow', 'nose_wrinkle', 'forehead')


def _forms(
    wide: Canvas, points: dict[str, np.ndarray], outline: np.ndarray, sides: list[dict[str, float]], unit: float
) -> None:
    marks = points['landmarks']
    wide.line(outline, 92, 0.12 * unit, closed=True)
    for eye in (marks[36:42], marks[42:48]):
        wide.ellipse(eye.mean(0) - (0, 0.06 * unit), (0.2 * unit, 0.13 * unit), 106)
    wide.line(smooth(marks[31:36]), 98, 0.07 * unit)
    wide.line(marks[28:31], 150, 0.09 * unit)
    wide.line(marks[57] + np.array([[-0.12, 0.1], [0.12, 0.1]]) * unit, 100, 0.06 * unit)
    for name, side, inner_brow in zip(('left', 'right'), sides, marks[21:23], strict=True):
        bulge = min(side['cheek_raise'] + 0.4 * side['corner_pull'], 1)
        wide.ellipse(points[f'cheek_{name}'][0], (0.17 * unit, 0.12 * unit), 134 + 18 * bulge)
        if side['brow_lower'] > 0.3:
            knot = 128 - 34 * min(side['brow_lower'], 1)
            wide.ellipse(inner_brow - (0, 0.03 * unit), (0.08 * unit, 0.09 * unit), knot)


def _creases(fine: Canvas, folds: dict[str, np.ndarray], side: dict[str, float], age: float, unit: float) -> None:

    def crease(points: np.ndarray, depth: float, width: float) -> None:
        if depth > 0.06:
            fine.line(smooth(points, steps=4), 128 - 80 * min(depth, 1), width * unit)

    cheek, wrinkle, pull = side['cheek_raise'], side['nose_wrinkle'], side['corner_pull']
    crease(folds['nasolabial'], 0.1 + 0.3 * age + 0.5 * pull + 0.3 * side['upper_lip_raise'] + 0.3 * wrinkle, 0.035)
    crease(folds['marionette'], 0.25 * age + 0.75 * side['corner_depress'] - 0.1, 0.035)
    crease(folds['under_eye'], 0.05 + 0.3 * age + 0.55 * cheek + 0.3 * side['lid_tighten'], 0.03)
    crease(folds['glabella'], 0.12 * age + 0.8 * side['brow_lower'] - 0.08, 0.028)
    crease(folds['chin'], side['chin_raise'] - 0.12, 0.03)
    for start in (0, 2, 4):
        crease(folds['crow'][start : start + 2], 0.2 * age + 0.55 * cheek - 0.1, 0.022)
        crease(folds['nose_wrinkle'][start : start + 2], 0.7 * wrinkle - 0.1, 0.022)
    raised = 0.6 * side['inner_brow_raise'] + 0.5 * side['outer_brow_raise']
    for start in (0, 3, 6):
        crease(folds['forehead'][start : start + 3], 0.25 * age + 0.6 * raised * (0.5 + 0.5 * age) - 0.1, 0.025)
