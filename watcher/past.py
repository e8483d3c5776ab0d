"""What became of an app's bumps before, as far as it still counts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watcher.bump import Bump, BumpStage

AGAIN_AFTER = timedelta(days=1)
"""When to try again what failed, though nothing is other than it was, as far as we can see."""
_PUT_ASIDE = {BumpStage.CLOSED: "closed", BumpStage.MERGED: "merged, and then taken back"}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something could not be proposed, and when it is tried again at the latest (UTC)."""

    said: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """By package and version, what a person put aside and why (`silenced`), and what would fail again (`failed`).

    `groups` are the bumps of several packages, by their ids, that would.
    """

    silenced: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    failed: Mapping[str, Mapping[str, Failure]] = field(default_factory=dict)
    groups: Mapping[str, Failure] = field(default_factory=dict)

    @classmethod
    def of(cls, bumps: Iterable[Bump], ground: Callable[[Bump], str], now: datetime) -> "Past":
        """What counts of these bumps at `now` (UTC). `ground` tells what one of them would be tried on today."""
        bumps = sorted(bumps, key=lambda bump: bump.id)
        failed: dict[str, dict[str, Failure]] = {}
        groups: dict[str, Failure] = {}
        for bump in bumps:
            again_at = bump.ended_at + AGAIN_AFTER if bump.stage is BumpStage.FAILED and bump.ended_at else now
            if again_at <= now or bump.basis != ground(bump):
                continue
            if bump.others:
                groups[bump.id] = Failure(bump.reason, again_at)
            else:
                failed.setdefault(bump.package, {})[bump.to_version] = Failure(bump.reason, again_at)
        return cls(silenced(bumps), failed, groups)


NOTHING = Past()


def silenced(bumps: Iterable[Bump]) -> dict[str, dict[str, str]]:
    """By package, the versions that a person put aside, and why. A person's `toplayer bump` opens one again.

    One that was merged, and is newer than the pin, was taken back: it comes by itself no more than what was closed.
    """
    found: dict[str, dict[str, str]] = {}
    for bump in bumps:
        for part in bump.parts if bump.stage in _PUT_ASIDE else ():
            found.setdefault(part.package, {})[part.to_version] = bump.reason or _PUT_ASIDE[bump.stage]
    return found
