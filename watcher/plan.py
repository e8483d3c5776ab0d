"""How careful a rollout is: waves, places, and the failures that it can bear. Pure."""

import math
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watcher.rollout import HostStage, HostState
from watcher.wave import Share, plan_waves
from watcher.window import Freeze, Wait, Window, wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a host stands: its site (hosts behind one link), and when it may be touched there.

    `kind` is the site's class: the first host of each class is proven before a second one is touched. `at_once` limits
    the hosts of the site that are moving (None: only the fleet's limit counts).
    """

    site: str = ""
    kind: str = ""
    at_once: int | None = None
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()

    def wait(self, now: datetime) -> Wait | None:
        """What keeps the host from being touched at `now`, or None."""
        return wait(self.windows, self.freezes, now)


ANYWHERE = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a fleet wants to be rolled.

    `max_failures` is a number of hosts; `max_share` (0 to 1) allows as many as that share of the hosts that were
    reached, once these are `min_sample`. `jitter` spreads the hosts of a wave over that time. `approve` has the waves
    that a person must approve. With `ahead` the bytes travel before a host's turn. `places` and `cordoned` (who and
    why) are by host.
    """

    waves: tuple[Share, ...] = (1, "100%")
    soak: timedelta = timedelta(0)
    at_once: int = 5
    max_failures: int = 0
    max_share: float = 0.0
    min_sample: int = 10
    jitter: timedelta = timedelta(0)
    approve: tuple[int, ...] = ()
    ahead: bool = False
    places: Mapping[str, Place] = field(default_factory=dict)
    cordoned: Mapping[str, str] = field(default_factory=dict)

    def place(self, host: HostState) -> Place:
        """Where the host stands."""
        return self.places.get(host.host, ANYWHERE)

    def may_touch(self, host: HostState, now: datetime) -> bool:
        """Whether the hour is right for the host. What was begun on it is finished at any hour."""
        return self.place(host).wait(now) is None

    def counts(self, hosts: Sequence[HostState]) -> tuple[int, ...]:
        """How many hosts may be touched in all once each wave is open. The first has a canary of each class."""
        waves = plan_waves(self.waves, len(hosts))
        classes = len({self.place(host).kind for host in hosts})
        return waves and (*sorted({max(count, classes) for count in waves}),)


BROKEN = (HostStage.FAILED, HostStage.RETURNING, HostStage.RETURNED, HostStage.STUCK)
WAITING = (HostStage.PENDING, HostStage.AHEAD, HostStage.READY)
"""Stages of a host whose turn has not come. Nothing that runs on it was touched."""


def verdict(hosts: Collection[HostState], plan: Plan, now: datetime) -> str:
    """Why the rollout has to halt, or an empty text.

    A class whose first host failed halts it whatever the budget says: a bad image reaches its canaries at most.
    """
    failed = sorted((h for h in hosts if h.stage in BROKEN), key=lambda host: host.since or now)
    proven = {plan.place(host).kind for host in hosts if host.stage is HostStage.DONE}
    canary = next((host for host in failed if plan.place(host).kind not in proven), None)
    reached = sum(host.stage is HostStage.DONE for host in hosts) + len(failed)
    share = math.floor(plan.max_share * reached) if reached >= plan.min_sample else 0
    first = canary or (failed[0] if len(failed) > max(plan.max_failures, share) else None)
    return f"{first.host}: {first.reason}" if first else ""


def chosen(hosts: Sequence[HostState], allowed: int, since: datetime | None, plan: Plan, now: datetime) -> list[str]:
    """The hosts whose turn it is, in the order of the fleet: the wave may touch `allowed`, and opened at `since`."""
    moving = [host for host in hosts if host.stage.is_moving and not _rests(host, plan, now)]
    room = min(allowed - sum(host.stage not in WAITING for host in hosts), plan.at_once - len(moving))
    at_site = _counted(plan.place(host).site for host in moving)
    busy = {plan.place(host).kind for host in hosts if host.stage.is_moving and host.stage is not HostStage.AHEAD}
    proven = {plan.place(host).kind for host in hosts if host.stage is HostStage.DONE}
    found: list[str] = []
    for host in _canaries_first(hosts, proven, plan):
        place = plan.place(host)
        if len(found) >= room:
            break
        if host.stage not in (HostStage.PENDING, HostStage.READY) or not host.is_due(now) or host.host in plan.cordoned:
            continue
        full = place.at_once is not None and at_site.get(place.site, 0) >= place.at_once
        unproven = place.kind in busy and place.kind not in proven
        early = since is not None and now < since + plan.jitter * _spread(host)
        if full or unproven or early or place.wait(now):
            continue
        found.append(host.host)
        busy.add(place.kind)
        at_site[place.site] = at_site.get(place.site, 0) + 1
    return found


def ahead(hosts: Sequence[HostState], plan: Plan, now: datetime) -> list[str]:
    """The hosts that may fetch before their turn, within the limits on hosts that move."""
    if not plan.ahead:
        return []
    moving = [host for host in hosts if host.stage.is_moving and not _rests(host, plan, now)]
    at_site = _counted(plan.place(host).site for host in moving)
    found: list[str] = []
    for host in hosts:
        place = plan.place(host)
        if len(moving) + len(found) >= plan.at_once:
            break
        full = place.at_once is not None and at_site.get(place.site, 0) >= place.at_once
        if host.stage is HostStage.PENDING and host.is_due(now) and host.host not in plan.cordoned and not full:
            found.append(host.host)
            at_site[place.site] = at_site.get(place.site, 0) + 1
    return found


def waits_for(host: HostState, plan: Plan, now: datetime) -> str | None:
    """What a host whose turn has not come should say that it waits for; None: what it says now."""
    if host.stage not in (HostStage.PENDING, HostStage.READY):
        return None
    if host.host in plan.cordoned:
        return f"{CORDONED}{plan.cordoned[host.host]}"
    held = plan.place(host).wait(now)
    if held is not None:
        return host.reason if host.attempts else held.said
    # What it said of an hour or a person is not so any more; that it could not be reached still is.
    return host.reason if host.attempts and not host.reason.startswith(CORDONED) else ""


CORDONED = "cordoned by "


def _rests(host: HostState, plan: Plan, now: datetime) -> bool:
    """Whether it has the bytes and waits for its hour: it is in nobody's way."""
    return host.stage is HostStage.FETCHED and not plan.may_touch(host, now)


def _canaries_first(hosts: Sequence[HostState], proven: Collection[str], plan: Plan) -> list[HostState]:
    return sorted(hosts, key=lambda host: plan.place(host).kind in proven)


def _spread(host: HostState) -> float:
    return zlib.crc32(host.name.encode()) / 0xFFFFFFFF


def _counted(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found
