"""The run and the tools that tests of tools/ have."""

from tools.conftest import run, stops, tools  # noqa: F401  fixtures
