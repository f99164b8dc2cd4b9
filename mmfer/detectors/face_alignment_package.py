"""Loads the face-alignment package on weights that are known to be there."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch

_WEIGHTS: dict[str, dict[str, str]] = {
    'sfd': dict(path_to_detector='s3fd'),
    'blazeface': dict(path_to_detector='blazeface_weights', path_to_anchor='blazeface_anchors'),
    'retinaface': dict(path_to_detector='retinaface_mobilenet0.25'),
    'scrfd': {},
    'yunet': {},
    'dlib': {},
}
"""For each face detector what it takes by path, and the key of its address in the package.

By path, because the package reads some of these without weights_only. Those of the last three are no pickles.
"""


def load_face_alignment(face_detector: str | None, device: str) -> Any:
    """`face_alignment.FaceAlignment` for 2D points, with a face detector of its own or, for None, with none.

    Raises:
        ValueError: There is no such face detector, or it needs a package that is not installed.
        FileNotFoundError: Weights are neither there nor can they be fetched; says which belong where.
    """
    import face_alignment

    if face_detector is not None and face_detector not in _WEIGHTS:
        raise ValueError(
            f'there is no face detector {face_detector!r}; choose one of {", ".join(_WEIGHTS)}, or None '
            'for faces that fill their image'
        )
    wanted = {} if face_detector is None else _WEIGHTS[face_detector]
    addresses = {'': import_module('face_alignment.api').models_urls['2DFAN-4']}
    if wanted:
        known = import_module(f'face_alignment.detection.{face_detector}.{face_detector}_detector').models_urls
        addresses |= {argument: known[key] for argument, key in wanted.items()}
    files = _fetch(addresses)
    try:
        return face_alignment.FaceAlignment(
            face_alignment.LandmarksType.TWO_D,
            device=device,
            flip_input=False,
            compile=False,
            # The package always makes a detector; 'folder' has no network and no weights.
            face_detector=face_detector or 'folder',
            face_detector_kwargs={argument: str(files[argument]) for argument in wanted},
        )
    except ImportError as error:
        raise ValueError(
            f'face_detector={face_detector!r} cannot be used here: {" ".join(str(error).split())}; '
            'install what it needs, or choose another'
        ) from None
    except (URLError, OSError) as error:
        raise FileNotFoundError(
            f'the weights of face_detector={face_detector!r} cannot be fetched here ({error}); '
            'fetch them on a machine with a network, or choose another'
        ) from None


def _fetch(addresses: dict[str, str]) -> dict[str, Path]:
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    files = {key: folder / url.rsplit('/', 1)[1].split('?')[0] for key, url in addresses.items()}
    missing = {key: file for key, file in files.items() if not file.is_file()}
    for key, file in missing.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(addresses[key], str(file))
        except (URLError, OSError) as error:
            names = ' and '.join(f'{file.name} (from {addresses[key]})' for key, file in missing.items())
            raise FileNotFoundError(
                'finding faces needs the weights of the face-alignment package, which cannot be '
                f'fetched here ({error}): put {names} into {folder}'
            ) from None
    return files
