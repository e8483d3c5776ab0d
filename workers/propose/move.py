"""What a lock tool is asked for."""

from dataclasses import dataclass

from watcher.inert import inert
from watcher.release import Release
from watcher.requirement import Raise
from workers.propose.bench import Unsolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`package` at `version` (both in normal form), which is the index's `release`.

    `requirement` says what becomes of a requirement of the project that forbids it.
    """

    package: str
    version: str
    release: Release
    requirement: Raise = Raise.KEEP


def hashes_of(move: Move) -> tuple[str, ...]:
    """`sha256:…` of every file of its release, sorted. `Unsolved` if the index does not tell one of them."""
    without = [file.filename for file in move.release.files if not file.hashes.get("sha256")]
    if without or not move.release.files:
        what = f"no sha256 of {inert(without[0], 200)}" if without else "no file of it"
        raise Unsolved(f"the pin has hashes, and the index gives {what}", missing=not move.release.files)
    return tuple(sorted({f"sha256:{file.hashes['sha256']}" for file in move.release.files}))
