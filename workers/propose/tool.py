"""What every lock tool has in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from watcher.release import Release
from workers.propose.uv import Uv


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a lock tool is asked for: `package` at `version` (both in normal form), which is the index's `release`."""

    package: str
    version: str
    release: Release


class LockTool(Protocol):
    """One way to keep a lockfile. Texts are whole files with their line ends, paths are in the repository."""

    def keeps(self, text: str, path: str) -> bool:
        """Whether the lockfile at `path` is kept in this way."""
        ...

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The files that the tool reads beside the one at `path`, if they are there. Asked again for each of those."""
        ...

    def run(self, files: Mapping[str, str], path: str, move: Move | None, uv: Uv) -> str:
        """The lockfile at `path` as the tool leaves it, asked for `move`, or for nothing but to keep it as it is.

        Raises `Unsolved` with the reason if there is no such lock, and what `Bench.uv` raises.
        """
        ...
