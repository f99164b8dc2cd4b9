"""Detectors of faces and of their landmarks.

A face detector is a class in `FACE_DETECTORS` with one method::

    detect(images) -> list of Faces

``images`` is a list of RGB uint8 [H, W, 3] of any sizes; each of them gets
:class:`~mmfer.detectors.faces.Faces`: boxes, scores and, where there are any, five points.

A landmark detector is a class in `LANDMARK_DETECTORS` with one method::

    detect(images) -> (points, score)

``images`` hold one face each; ``points`` float32 [N, 68, 2] are (x, y) in pixels of each image with pixel centres at
integers, in the order of iBUG 300-W; ``score`` float32 [N] is 0 where no face was found, and lower where the points are
less sure. One that finds the points in a given box builds on :class:`~mmfer.detectors.box_landmarks.BoxLandmarks`, and
can cut faces out of photos, too.
"""

from mmfer.detectors.dlib_faces import DlibFaces
from mmfer.detectors.dlib_landmarks import DlibLandmarks
from mmfer.detectors.face_alignment import FaceAlignmentDetector
from mmfer.detectors.face_alignment_faces import FaceAlignmentFaces
from mmfer.detectors.onnx_landmarks import OnnxLandmarks
from mmfer.detectors.yunet_faces import YuNetFaces

__all__ = [
    'DlibFaces',
    'DlibLandmarks',
    'FaceAlignmentDetector',
    'FaceAlignmentFaces',
    'OnnxLandmarks',
    'YuNetFaces',
]
