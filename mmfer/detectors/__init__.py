"""Landmark detectors.

A detector is a class in `LANDMARK_DETECTORS` with one method::

    detect(images) -> (points, score)

``images`` is a list of RGB uint8 [H, W, 3] of any sizes, one face each; ``points`` float32 [N, 68, 2] are (x, y) in
pixels of each image with pixel centres at integers, in the order of iBUG 300-W; ``score`` float32 [N] is 0 where no
face was found, and lower where the points are less sure.
"""

from mmfer.detectors.face_alignment import FaceAlignmentDetector

__all__ = ['FaceAlignmentDetector']
