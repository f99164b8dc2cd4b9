"""Here all pictures are drawn."""

import pytest


@pytest.fixture
def undrawn() -> None:
    """Nothing is left out."""
