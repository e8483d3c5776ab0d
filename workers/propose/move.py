"""What a lock tool is asked for."""

from dataclasses import dataclass

from watcher.release import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`package` at `version` (both in normal form), which is the index's `release`."""

    package: str
    version: str
    release: Release
