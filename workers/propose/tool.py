"""What every lock tool has in common."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from workers.propose.move import Move
from workers.propose.workshop import Workshop


class LockTool(Protocol):
    """One way to keep a lockfile. Texts are whole files with their line ends, paths are in the repository."""

    def keeps(self, text: str, path: str) -> bool:
        """Whether the lockfile at `path` is kept in this way."""
        ...

    def beside(self, text: str, path: str) -> tuple[str, ...]:
        """The files that the tool reads beside the one at `path`, if they are there. Asked again for each of those."""
        ...

    def run(self, files: Mapping[str, str], path: str, moves: Sequence[Move], shop: Workshop) -> Mapping[str, str]:
        """The files as the tool leaves them: the lockfile at `path`, and what has to change with it.

        It is asked for `moves`, or without any to keep the lock as it is. Raises `Unsolved` with the reason if there is
        no such lock, and `ToolAway`, `IndexRefused`, `IndexUnreachable`, `InterpreterMissing` and `ToolTimedOut`.
        """
        ...
