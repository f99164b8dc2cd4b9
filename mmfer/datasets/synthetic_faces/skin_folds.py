"""Where creases and bulges of the skin are, in face units (:mod:`~mmfer.datasets.synthetic_faces.geometry`)."""

from __future__ import annotations

import numpy as np

from mmfer.datasets.synthetic_faces.person import Person


def skin_folds(person: Person, unit: dict[str, float]) -> dict[str, np.ndarray]:
    """Creases and bulges of the skin on the right-hand side of the picture, [*, 3] each."""
    wide = 0.3 * person.mouth_width * (1 + 0.32 * unit['corner_pull'] + 0.3 * unit['lip_stretch'])
    corner = 0.575 + person.mouth_height - 0.13 * unit['corner_pull'] + 0.12 * unit['corner_depress']
    lift, eye = 0.05 * unit['cheek_raise'] + 0.04 * unit['nose_wrinkle'], 0.375 * person.eye_gap
    out = 1.05 * person.face_width
    return dict(
        nasolabial=np.array(
            [
                (0.19, 0.2 - lift, 0.15),
                (0.29, 0.3 - lift, 0.12),
                (wide + 0.1, corner - 0.1, 0.08),
                (wide + 0.11, corner + 0.02, 0.06),
            ]
        ),
        marionette=np.array(
            [(wide + 0.03, corner + 0.03, 0.06), (wide + 0.06, corner + 0.12, 0.04), (wide + 0.03, corner + 0.2, 0.04)]
        ),
        under_eye=np.array([(eye - 0.14, -0.1 - lift, 0.08), (eye, -0.06 - lift, 0.05), (eye + 0.15, -0.12 - lift, 0)]),
        cheek=np.array([(0.46 * out, 0.2 - 1.4 * lift, 0.05)]),
        crow=np.array(
            [
                (eye + 0.19, -0.22, -0.05),
                (eye + 0.29, -0.28, -0.1),
                (eye + 0.19, -0.19, -0.05),
                (eye + 0.3, -0.19, -0.1),
                (eye + 0.18, -0.16, -0.05),
                (eye + 0.28, -0.1, -0.1),
            ]
        ),
        forehead=np.array(
            [
                (x, y - 0.1 * bump * unit['inner_brow_raise'] - 0.02 * x, 0.1 - 0.1 * x)
                for y in (-0.62, -0.72, -0.82)
                for x, bump in ((0.02, 0.4), (0.22, 0.4), (0.42, 0.1))
            ]
        ),
        glabella=np.array([(0.06 - 0.02 * unit['brow_lower'], -0.47, 0.14), (0.055, -0.38, 0.16), (0.075, -0.3, 0.14)]),
        nose_wrinkle=np.array(
            [
                (0.03, -0.22, 0.18),
                (0.11, -0.17, 0.1),
                (0.03, -0.15, 0.22),
                (0.12, -0.09, 0.1),
                (0.03, -0.08, 0.25),
                (0.12, -0.01, 0.12),
            ]
        ),
        chin=np.array(
            [
                (0, 0.80 - 0.03 * unit['chin_raise'], 0.2),
                (0.1, 0.82 - 0.03 * unit['chin_raise'], 0.18),
                (0.17, 0.88, 0.14),
            ]
        ),
    )
