"""Loads networks of the face-alignment package on weights that are known to be there."""

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


def fetch_weights(face_detector: str | None) -> None:
    """Those of the landmark network, and of a face detector of the package, if they are not here yet.

    Raises:
        FileNotFoundError: They cannot be fetched; says which belong where, all in one sentence.
    """
    _fetch({'': _network_address(), **(_addresses(face_detector) if face_detector in _WEIGHTS else {})})


def load_landmark_network(device: str) -> Any:
    """FAN, for 68 points in pictures.

    Raises:
        FileNotFoundError: Its weights are neither there nor can they be fetched; says where they belong.
    """
    import face_alignment

    _fetch({'': _network_address()})
    return face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D,
        device=device,
        flip_input=False,
        compile=False,
        face_detector='folder',  # the package always makes one; this has no network and no weights
    ).face_alignment_net


def load_face_detector(name: str, device: str) -> Any:
    """A face detector of the package.

    Raises:
        ValueError: There is none of that name, or it needs a package that is not installed.
        FileNotFoundError: Weights are neither there nor can they be fetched; says which belong where.
    """
    if name not in _WEIGHTS:
        raise ValueError(
            f'there is no face detector {name!r}; choose one of {", ".join(_WEIGHTS)}, one of FACE_DETECTORS such as '
            'mmfer.DlibFaces, or None for faces that fill their image'
        )
    try:
        files = {argument: str(file) for argument, file in _fetch(_addresses(name)).items()}
        return import_module(f'face_alignment.detection.{name}').FaceDetector(device=device, verbose=False, **files)
    except ImportError as error:
        raise ValueError(
            f'face_detector={name!r} cannot be used here: {" ".join(str(error).split())}; '
            'install what it needs, or choose another'
        ) from None
    except (URLError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise FileNotFoundError(
            f'the weights of face_detector={name!r} cannot be fetched here ({error}); '
            'fetch them on a machine with a network, or choose another'
        ) from None


def has_weights() -> bool:
    """Whether the landmark network and the default face detector can be had without fetching anything."""
    return all(_place(address).is_file() for address in (_network_address(), *_addresses('sfd').values()))


def _fetch(addresses: dict[str, str]) -> dict[str, Path]:
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    files = {key: _place(url) for key, url in addresses.items()}
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


def _network_address() -> str:
    return import_module('face_alignment.api').models_urls['2DFAN-4']


def _addresses(face_detector: str) -> dict[str, str]:
    """Of what a face detector takes by path."""
    wanted = _WEIGHTS[face_detector]
    if not wanted:
        return {}
    known = import_module(f'face_alignment.detection.{face_detector}.{face_detector}_detector').models_urls
    return {argument: known[key] for argument, key in wanted.items()}


def _place(address: str) -> Path:
    return Path(torch.hub.get_dir()) / 'checkpoints' / address.rsplit('/', 1)[1].split('?')[0]
