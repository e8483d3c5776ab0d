"""What a lock tool is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from watcher.inert import inert
from watcher.pin import Pin
from watcher.release import Release
from watcher.requirement import Raise
from workers.propose.bench import Unsolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`package` at `version` (both in normal form), which is the index's `release`.

    It is about the pin at `from_version` (empty: the one that there is), which counts where `marker` says. What the
    lock has of the package in other versions, for other platforms, `stays`. `requirement` says what becomes of a
    requirement of the project that forbids it.
    """

    package: str
    version: str
    release: Release
    requirement: Raise = Raise.KEEP
    from_version: str = ""
    marker: str = ""
    stays: tuple[Pin, ...] = ()

    def among(self, pins: Iterable[Pin]) -> "Move":
        """The same in a lock with these pins. One that does not have `from_version` has older ones, which all move."""
        mine = [pin for pin in pins if pin.package == self.package]
        moved = [pin for pin in mine if pin.version == self.from_version]
        stays = tuple(pin for pin in mine if moved and pin.version not in (self.from_version, self.version))
        markers = {pin.marker for pin in moved}
        return replace(self, marker=markers.pop() if len(markers) == 1 else "", stays=stays)


def hashes_of(move: Move) -> tuple[str, ...]:
    """`sha256:…` of every file of its release, sorted. `Unsolved` if the index does not tell one of them."""
    without = [file.filename for file in move.release.files if not file.hashes.get("sha256")]
    if without or not move.release.files:
        what = f"no sha256 of {inert(without[0], 200)}" if without else "no file of it"
        raise Unsolved(f"the pin has hashes, and the index gives {what}", missing=not move.release.files)
    return tuple(sorted({f"sha256:{file.hashes['sha256']}" for file in move.release.files}))
