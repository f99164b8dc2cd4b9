"""Converts landmark files of other kinds."""

from __future__ import annotations

import numpy as np

from mmfer.datasets.landmarks.landmark_file import LandmarkFile, read_landmarks, write_landmarks
from mmfer.datasets.landmarks.posture_fault import fault_of


def import_landmarks(source: str, out: str, swap_xy: bool = False) -> LandmarkFile:
    """Writes a landmark file or folder of any kind as our `.npz`.

    Args:
        source: What :func:`~mmfer.datasets.landmarks.landmark_file.read_landmarks` reads.
        out: The `.npz`.
        swap_xy: Whether x and y are exchanged there, as in .txt files of x, then y.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, or what it has are no upright faces.
    """
    faces = read_landmarks(source)
    if swap_xy:
        faces = faces._replace(points=np.ascontiguousarray(faces.points[..., ::-1]))
    option = 'leave out --swap-xy' if swap_xy else 'add --swap-xy to the command'
    if wrong := fault_of(*faces, where=source, exchange=option):
        raise ValueError(wrong)
    write_landmarks(out, *faces)
    return faces
