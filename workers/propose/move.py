"""What a lock tool is asked for."""

from dataclasses import dataclass

from watcher.release import Release
from watcher.requirement import Raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`package` at `version` (both in normal form), which is the index's `release`.

    `requirement` says what becomes of a requirement of the project that forbids it.
    """

    package: str
    version: str
    release: Release
    requirement: Raise = Raise.KEEP
