"""Finds faces in photos and cuts them out as the training faces were."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import torch

TEMPLATE = np.array([[.315, .405], [.695, .405], [.505, .785]])
"""Eye centres and mouth centre in widths of the crop (x, y), of faces laid out like RAF-DB's aligned ones."""

DETECTION_SIDE = 1280
"""Photos are searched at this size at most: the detector's cost grows with the area, faces below 1 % are too small."""


@dataclass(frozen=True)
class FoundFace:
    """A face of a photo.

    Args:
        crop: The aligned face, BGR uint8 [S, S, 3].
        box: Left, top, right, bottom in pixels of the photo.
    """

    crop: np.ndarray
    box: tuple[int, int, int, int]


class FaceAligner:
    """Detects faces with the `face-alignment` package and aligns them by eyes and mouth.

    Expression networks are trained on aligned faces; a photo as it is, or a loose crop, costs them many points. A
    similarity (rotation, one scale, shift) takes the eye centres and the mouth centre to where they lie in RAF-DB's
    aligned faces; the crop is not sheared.

    Args:
        size: Side of the crops. Defaults to 224.
        device: Where the detector and the landmark network run. Defaults to 'cpu'.
        landmarker: Stands in for `face_alignment.FaceAlignment`. Defaults to None: that.

    Raises:
        FileNotFoundError: The package's weights are neither there nor can they be fetched; says what belongs where.
    """

    def __init__(self, size: int = 224, device: str = 'cpu', landmarker=None):
        self.size = size
        self.landmarker = landmarker or _face_alignment(device)

    def __call__(self, image: np.ndarray) -> list[FoundFace]:
        """Cuts out every face, left to right.

        Args:
            image: BGR uint8 [H, W, 3].
        """
        scale = min(1., DETECTION_SIDE / max(image.shape[:2]))
        small = image
        if scale < 1:
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='No faces were detected')
            points, _, boxes = self.landmarker.get_landmarks_from_image(
                np.ascontiguousarray(small[..., ::-1]), return_bboxes=True)
        if points is None:
            return []
        found = []
        for landmarks, box in zip(points, boxes, strict=True):
            left, top, right, bottom = (round(float(value) / scale) for value in box[:4])
            crop = align(image, (landmarks + .5) / scale - .5, self.size)
            found.append(FoundFace(crop, (left, top, right, bottom)))
        return sorted(found, key=lambda face: face.box[0])


def align(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """Cuts out one face.

    Args:
        image: BGR uint8 [H, W, 3].
        landmarks: 68 points (x, y) in pixels of `image`, pixel centres at integers.
        size: Side of the crop.

    Returns:
        uint8 [size, size, 3]; beyond the photo its border is repeated.
    """
    anchors = np.stack([landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[[48, 54]].mean(0)])
    matrix = similarity(anchors, TEMPLATE * size - .5)
    # A warp reads four pixels a target pixel: shrink first where more than two fall onto one.
    shrink = np.hypot(matrix[0, 0], matrix[1, 0]) * 2
    if shrink < 1:
        before = image.shape[:2]
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        anchors = (anchors + .5) * (image.shape[1] / before[1], image.shape[0] / before[0]) - .5
        matrix = similarity(anchors, TEMPLATE * size - .5)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, scale and shift [2, 3] that takes points to points with the least squared error (no reflection)."""
    a = source - source.mean(0)
    b = target - target.mean(0)
    # As complex numbers a similarity without reflection is z -> m z + c, and m is a linear regression.
    m = (np.conj(a[:, 0] + 1j * a[:, 1]) * (b[:, 0] + 1j * b[:, 1])).sum() / (a ** 2).sum()
    matrix = np.array([[m.real, -m.imag], [m.imag, m.real]])
    return np.column_stack([matrix, target.mean(0) - matrix @ source.mean(0)])


def _face_alignment(device: str):
    """The package's detector and landmark network, on weights that are known to be there."""
    import face_alignment

    urls = (import_module('face_alignment.detection.sfd.sfd_detector').models_urls['s3fd'],
            import_module('face_alignment.api').models_urls['2DFAN-4'])
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    files = [folder / url.rsplit('/', 1)[1] for url in urls]
    missing = [(file, url) for file, url in zip(files, urls, strict=True) if not file.is_file()]
    for file, url in missing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file))
        except (URLError, OSError) as error:
            names = ' and '.join(f'{file.name} (from {url})' for file, url in missing)
            raise FileNotFoundError(
                f'--align needs the weights of the face-alignment package, which cannot be fetched here ({error}): '
                f'put {names} into {folder}, or give aligned faces and leave --align out') from None
    return face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D, device=device, flip_input=False, compile=False, max_batch_size=16,
        # By path, because the package would read its detector without weights_only.
        face_detector_kwargs=dict(path_to_detector=str(files[0])))
