"""Which detectors are taken, by name, by config, or by what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmfer.detectors.dlib_package import has_dlib
from mmfer.detectors.face_alignment_package import has_weights
from mmfer.registry import FACE_DETECTORS


def build_face_detector(wanted: str | Mapping[str, Any] | None, device: str | None) -> Any | None:
    """A face detector.

    Args:
        wanted: The name of one of the face-alignment package; the name of one of `FACE_DETECTORS`, which has a dot; a
            config; None for none.
        device: Where the networks of the face-alignment package run.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        wanted = dict(type=wanted) if '.' in wanted else dict(type='mmfer.FaceAlignmentFaces', name=wanted)
    if wanted.get('type') == 'mmfer.FaceAlignmentFaces':
        wanted = dict(device=device, **wanted) if 'device' not in wanted else wanted
    return FACE_DETECTORS.build(dict(wanted))


def default_landmark_detector() -> tuple[str, str]:
    """The landmark detector that is taken where none is named, and why it is not face-alignment's; '' where it is."""
    if has_dlib() and not has_weights():
        return 'mmfer.DlibLandmarks', "by dlib, as the face-alignment package's weights are not here"
    return 'mmfer.FaceAlignmentDetector', ''
