"""Which toplayer this is."""

from functools import cache
from importlib.metadata import version


@cache
def program() -> str:
    """Its version: what another one has read or decided is read and decided again."""
    return version("toplayer")
