"""Where everything is: control points of a face in three dimensions.

Face units: x to the right of the picture, y down, z towards the camera; the origin lies between the eyes and the nose,
the face is about 1.6 wide, and the eyes are 0.75 apart. Both the landmarks and all that is painted come from the points
made here, so the landmarks are exact by construction.
"""

from __future__ import annotations

import numpy as np

from mmfer.datasets.synthetic_faces.action_units import UNITS
from mmfer.datasets.synthetic_faces.person import Person
from mmfer.datasets.synthetic_faces.skin_folds import skin_folds

# From ear to chin: half of the 17 jaw points of an average face.
_JAW_X = np.array([0.82, 0.82, 0.80, 0.76, 0.69, 0.58, 0.42, 0.22, 0])
_JAW_Y = np.array([-0.20, 0.01, 0.23, 0.45, 0.65, 0.82, 0.96, 1.05, 1.08])
_JAW_Z = np.array([-0.25, -0.24, -0.22, -0.18, -0.12, -0.05, 0.03, 0.1, 0.12])
# How far towards the inner end of the brow each of its five points acts, inner to outer.
_BROW_INNER = np.array([1, 0.72, 0.3, 0, 0])
_BROW_OUTER = np.array([0.1, 0.4, 0.8, 1, 0.8])
_BROW_DOWN = np.array([1, 0.85, 0.5, 0.2, 0.05])


def _mirror(half: np.ndarray) -> np.ndarray:
    return half * (-1, 1, 1)


def face_points(person: Person, units: np.ndarray) -> dict[str, np.ndarray]:
    """Control points of one performed expression.

    Args:
        person: Whose face.
        units: Activations of the two sides (left and right of the picture), [2, A].

    Returns:
        Named arrays [*, 3]. ``landmarks`` has the 68 points in the iBUG order; the others are what only painting needs.
    """
    sides = [dict(zip(UNITS, side, strict=True)) for side in units]
    middle = dict(zip(UNITS, units.mean(0), strict=True))
    brows, eyes, folds = [], [], {}
    for name, sign, side in (('left', -1, sides[0]), ('right', 1, sides[1])):
        brow, eye = _brow(person, side), _eye(person, side)
        brows.append(_mirror(brow)[::-1] if sign < 0 else brow)
        # iBUG walks both eyes clockwise, starting at the corner on the left of the picture.
        eyes.append(_mirror(eye) if sign < 0 else eye[[3, 2, 1, 0, 5, 4]])
        for fold, points in skin_folds(person, side).items():
            folds[f'{fold}_{name}'] = _mirror(points) if sign < 0 else points
    jaw = _jaw(person, middle)
    mouth = _mouth(person, sides, middle)
    nose = _nose(person, sides, middle)
    return dict(landmarks=np.concatenate([jaw, *brows, nose, *eyes, mouth]), skull=skull(person), **folds)


def _jaw(person: Person, unit: dict[str, float]) -> np.ndarray:
    towards_chin = np.linspace(0, 1, 9)
    drop = np.clip((towards_chin - 0.25) / 0.75, 0, 1) * unit['jaw_drop']
    x = _JAW_X * (person.face_width + towards_chin * (person.jaw_width - person.face_width)) * (1 - 0.06 * drop)
    y = np.where(_JAW_Y > 0, _JAW_Y * person.chin, _JAW_Y) + 0.15 * drop - 0.02 * unit['chin_raise'] * towards_chin**4
    half = np.stack([x, y, _JAW_Z], 1)
    return np.concatenate([_mirror(half), half[-2::-1]])


def skull(person: Person, grow: float = 1.0, points: int = 13) -> np.ndarray:
    """The upper outline of the head from the left ear to the right, [points, 3]."""
    angle = np.linspace(np.pi, 2 * np.pi, points)
    return np.stack(
        [
            0.82 * person.face_width * grow * np.cos(angle) * (1 - 0.04 * np.sin(angle)),
            -0.2 + 0.95 * person.forehead * grow * np.sin(angle),
            np.full(points, -0.25),
        ],
        1,
    )


def _brow(person: Person, unit: dict[str, float]) -> np.ndarray:
    at = np.linspace(0, 1, 5)
    arch = person.brow_arch * np.array([0, 0.05, 0.07, 0.05, -0.02])
    # The frown muscle pulls the inner ends together; with the inner brow raised it tilts rather than lowers them.
    lower = unit['brow_lower'] * (1 - 0.8 * unit['inner_brow_raise'])
    y = (
        -0.395
        + person.brow_height
        - arch
        - 0.17 * unit['inner_brow_raise'] * _BROW_INNER
        - 0.16 * unit['outer_brow_raise'] * _BROW_OUTER
        + 0.14 * lower * _BROW_DOWN
        + 0.05 * unit['nose_wrinkle'] * _BROW_DOWN
        + 0.03 * unit['inner_brow_raise'] * unit['brow_lower'] * at
    )
    x = 0.15 * person.eye_gap + at * 0.52 * person.face_width - 0.055 * unit['brow_lower'] * (1 - at)
    return np.stack([x, y, 0.14 - 0.16 * at], 1)


def _eye(person: Person, unit: dict[str, float]) -> np.ndarray:
    half = 0.155 * person.eye_size
    shut = min(unit['eyes_close'], 1.0)
    raised, tight, cheek, wrinkle = (unit[name] for name in ('lid_raise', 'lid_tighten', 'cheek_raise', 'nose_wrinkle'))
    upper = 1 + 0.8 * raised - 0.3 * tight - 0.2 * cheek - 0.2 * wrinkle - 0.12 * unit['brow_lower']
    lower = 1 + 0.35 * raised - 0.65 * tight - 0.75 * cheek - 0.4 * wrinkle
    upper, lower = 0.058 * person.eye_open * upper, 0.036 * person.eye_open * max(lower, 0.0)
    upper = max(upper, 0.012) * (1 - shut) - 0.8 * lower * shut
    # Outer corner, upper outer, upper inner, inner corner, lower inner, lower outer.
    x = half * np.array([1, 0.38, -0.38, -1, -0.38, 0.38])
    slant = 0.05 * unit['inner_brow_raise'] * unit['brow_lower']
    y = np.array([0, -upper + slant, -upper - 0.3 * slant, 0, lower, lower]) - x * (person.eye_tilt - 0.3 * slant)
    return np.stack([0.375 * person.eye_gap + x, -0.2 + y, 0.04 - 0.35 * x], 1)


def _nose(person: Person, sides: list[dict[str, float]], unit: dict[str, float]) -> np.ndarray:
    length, lift = person.nose_length, 0.05 * unit['nose_wrinkle'] + 0.02 * unit['upper_lip_raise']
    bridge = np.stack([np.zeros(4), -0.23 + (0.40 * length - lift) * np.linspace(0, 1, 4), [0.12, 0.22, 0.33, 0.42]], 1)
    wing = [0.175 * person.nose_width * (1 + 0.12 * side['nose_wrinkle'] + 0.1 * side['corner_pull']) for side in sides]
    raised = [0.05 * side['nose_wrinkle'] + 0.03 * side['upper_lip_raise'] for side in sides]
    low = -0.23 + 0.51 * length
    base = np.array(
        [
            (-wing[0], low - raised[0], 0.14),
            (-0.5 * wing[0], low + 0.035 - 0.7 * raised[0], 0.22),
            (0, low + 0.055 - lift, 0.27),
            (0.5 * wing[1], low + 0.035 - 0.7 * raised[1], 0.22),
            (wing[1], low - raised[1], 0.14),
        ]
    )
    return np.concatenate([bridge, base])


def _mouth(person: Person, sides: list[dict[str, float]], unit: dict[str, float]) -> np.ndarray:
    smile, part, jaw, press = (unit[name] for name in ('corner_pull', 'lips_part', 'jaw_drop', 'lip_press'))
    centre = 0.575 + person.mouth_height + 0.025 * smile - 0.03 * unit['chin_raise']
    up = centre - 0.015 * part - 0.055 * unit['upper_lip_raise'] - 0.03 * jaw - 0.015 * smile * part
    down = centre + 0.02 * part + 0.27 * jaw + 0.04 * smile * part + 0.05 * unit['upper_lip_raise'] * part * part
    down += 0.03 * unit['lip_stretch'] * part - 0.045 * unit['upper_lip_raise'] * (1 - min(part, 1))
    gap_closed = down - up < 0.012
    if gap_closed:
        up = down = 0.5 * (up + down)
    upper_lip = 0.075 * person.upper_lip * (1 - 0.7 * min(press, 1)) * (1 - 0.3 * smile) * (1 - 0.25 * jaw)
    lower_lip = 0.1 * person.lower_lip * (1 - 0.6 * min(press, 1)) * (1 - 0.25 * smile) * (1 - 0.15 * jaw)
    lower_lip *= 1 + 0.15 * unit['chin_raise']
    width, corner = [], []
    for side in sides:
        width.append(
            0.3
            * person.mouth_width
            * (
                1
                + 0.32 * side['corner_pull']
                + 0.3 * side['lip_stretch']
                + 0.06 * side['corner_depress']
                - 0.22 * jaw
                - 0.1 * press
            )
        )
        corner.append(
            0.575
            + person.mouth_height
            - 0.13 * side['corner_pull']
            + 0.12 * side['corner_depress']
            + 0.05 * side['lip_stretch']
            + 0.1 * jaw
            - 0.01 * side['upper_lip_raise']
        )
    # A stretched or snarling mouth opens as a rectangle, a relaxed one as an ellipse.
    bend = 2 + 1.5 * min(part, 1) * max(unit['lip_stretch'], 0.8 * unit['upper_lip_raise'], 0.6 * jaw)

    def curve(at: np.ndarray, height: float, thickness: np.ndarray) -> np.ndarray:
        side = (at > 0).astype(int)
        across = np.abs(at)
        y = height + (np.array(corner)[side] - height) * across**bend + thickness
        return np.stack([at * np.array(width)[side], y, 0.22 - 0.15 * across**2], 1)

    outer = np.array([-1, -0.62, -0.25, 0, 0.25, 0.62, 1])
    inner = np.array([-0.88, -0.42, 0, 0.42, 0.88])
    snarl = 1 + 0.35 * unit['upper_lip_raise'] * np.array([0, 1, 0, -0.2, 0, 1, 0])
    top = curve(outer, up, -upper_lip * snarl * np.array([0, 0.68, 1.05, 0.9, 1.05, 0.68, 0]))
    bottom = curve(outer[-2:0:-1], down, lower_lip * np.array([0.62, 0.95, 1, 0.95, 0.62]))
    inner_top, inner_bottom = curve(inner, up, np.zeros(5)), curve(inner[-2:0:-1], down, np.zeros(3))
    inner_bottom[:, 1] = np.maximum(inner_bottom[:, 1], inner_top[3:0:-1, 1])
    return np.concatenate([top, bottom, inner_top, inner_bottom])
