"""dlib itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from mmfer.structures.dlib_models import INSTALL, MODULE


def has_dlib() -> bool:
    """Whether dlib and its models are installed."""
    return find_spec('dlib') is not None and find_spec(MODULE) is not None


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
