"""What the hosts of a fleet say of themselves, as far as it matters to the layers of an image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from watcher.entry import Entry
from watcher.errors import Refused
from watcher.fleet import FleetSettings
from watcher.inert import inert

KNOWN = timedelta(days=1)
"""How long an answer is good for: an engine is upgraded now and then, and never in the middle of a build."""
AGAIN = timedelta(minutes=15)
"""After which a host is asked again that did not answer."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What a host takes: whether layers packed with zstd; and whether it is `classic`, and downloads again what lies
    above a layer that has changed (Docker's graph drivers do). `engine` is what runs there, for people.
    """

    engine: str
    zstd: bool
    classic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Entry):
    """What a host said last, at `answered_at`; None: it has never answered. It was asked at `asked_at` (UTC)."""

    fleet: str
    host: str
    engine: str = ""
    zstd: bool = False
    classic: bool = True
    asked_at: datetime | None = None
    answered_at: datetime | None = None

    @property
    def name(self) -> str:
        return f"{self.fleet}/{self.host}"

    @property
    def is_known(self) -> bool:
        """Whether it has ever answered."""
        return self.answered_at is not None

    def is_stale(self, now: datetime) -> bool:
        """Whether it is time to ask (again)."""
        if self.asked_at is None:
            return True
        answered = self.answered_at is not None and self.answered_at >= self.asked_at
        return now - self.asked_at >= (KNOWN if answered else AGAIN)

    def said(self, takes: Takes, now: datetime) -> Self:
        """The machine with its answer."""
        engine = inert(takes.engine, 100)
        return replace(
            self, engine=engine, zstd=takes.zstd, classic=takes.classic, asked_at=now, answered_at=now, reason=""
        )

    def silent(self, why: str, now: datetime) -> Self:
        """The machine after it was asked in vain: what it said before is still what is known."""
        return replace(self, asked_at=now, reason=inert(why))

    def refused(self, now: datetime, error: Refused) -> Self:
        return self.silent(str(error), now)


def machines(fleet: str, settings: FleetSettings, known: Iterable[Machine]) -> tuple[Machine, ...]:
    """The machine of each of the fleet's hosts, those that were never asked included."""
    by_host = {one.host: one for one in known}
    return tuple(by_host.get(host.name) or Machine(fleet=fleet, host=host.name) for host in settings.hosts)


def share(found: Sequence[Machine]) -> float:
    """The share of hosts that download again what lies above a change. Who has never answered is taken for one."""
    return sum(one.classic or not one.is_known for one in found) / len(found) if found else 1.0


def packings(setting: str, found: Sequence[Machine]) -> tuple[str, ...]:
    """How layers may be packed; new ones are packed in the first of these ways.

    `auto` is zstd when every host has said that it takes it. While one has not answered, new layers are packed with
    gzip, and what is packed with zstd already stays. Once one has said that it does not, nothing may be.
    """
    if setting != "auto":
        return ("zstd", "gzip") if setting == "zstd" else ("gzip",)
    if found and all(one.is_known and one.zstd for one in found):
        return "zstd", "gzip"
    return ("gzip",) if any(one.is_known and not one.zstd for one in found) else ("gzip", "zstd")


def story(setting: str, found: Sequence[Machine]) -> str:
    """One line for people: how many hosts are classic, how layers are packed, and why."""
    again, unknown = sum(one.classic and one.is_known for one in found), [one for one in found if not one.is_known]
    counted = f"{again} of {len(found)} hosts download again what lies above a change"
    counted += f" ({len(unknown)} not asked yet, and taken for such)" if unknown else ""
    packing = packings(setting, found)[0]
    stopper = next((one for one in found if one.is_known and not one.zstd), None)
    if setting != "auto":
        why = "as configured"
    elif packing == "zstd":
        why = "which all of them take"
    elif stopper:
        why = f"because {stopper.host} takes no zstd ({stopper.engine})"
    else:
        why = f"until {unknown[0].host} has answered" if unknown else "because there are no hosts to ask"
    return f"{counted}; layers are packed with {packing}, {why}"
