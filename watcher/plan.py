"""How careful a rollout is: waves, places, and the failures that it can bear. Pure."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watcher.retry import share
from watcher.rollout import HostStage, HostState, Rollout
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
GIVEN_UP_AFTER = 3
"""Attempts in a row after which nobody waits any longer for a host that went away in the middle of something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a fleet wants to be rolled.

    `max_failures` is a number of hosts; `max_share` (0 to 1) allows as many as that share of the hosts that were
    reached, once these are `min_sample`. `jitter` spreads the hosts of a wave over that time. `approve` has the waves
    that a person must approve. With `ahead` the bytes travel before a host's turn. `places` and `cordoned` (who and
    why) are by host; `elsewhere` is how many hosts of each site other apps are moving. A `hurried` plan has no hours.
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
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    hurried: bool = False

    def of(self, rollout: Rollout) -> "Plan":
        """The plan as it is for this rollout: an urgent one is as careful as ever, and waits for nobody's hour."""
        if not rollout.urgent:
            return self
        return replace(self, hurried=True, soak=timedelta(0), jitter=timedelta(0), approve=())

    def place(self, host: HostState) -> Place:
        """Where the host stands."""
        return self.places.get(host.host, ANYWHERE)

    def may_touch(self, host: HostState, now: datetime) -> bool:
        """Whether the hour is right for the host. What was begun on it is finished at any hour."""
        return self.wait(host, now) is None

    def wait(self, host: HostState, now: datetime) -> Wait | None:
        """What keeps the host from being touched at `now`, or None."""
        return None if self.hurried else self.place(host).wait(now)

    def moving(self, hosts: Iterable[HostState], now: datetime) -> list[HostState]:
        """The hosts that use up the limits. One that is gone uses nothing, nor does one that waits for its hour."""
        moving = (host for host in hosts if host.stage.is_moving and not self.is_gone(host))
        return [host for host in moving if host.stage is not HostStage.FETCHED or self.may_touch(host, now)]

    def is_gone(self, host: HostState) -> bool:
        """Whether the host went away in the middle of something, and nobody waits for it: not after some attempts, and
        not after one if a person keeps it out. What was begun on it is finished when it returns. One that is called is
        none of them, however often that was in vain: if it is there now, it pulls like any other."""
        went = host.attempts >= GIVEN_UP_AFTER or (host.attempts > 0 and host.host in self.cordoned)
        return went and not host.stage.fetches

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

    A class whose first host failed halts it whatever the budget says: a bad image reaches its canaries at most. A host
    that ran it well until somebody changed what runs there says as much for its class as one that is done.
    """
    failed = sorted((h for h in hosts if h.stage in BROKEN), key=lambda host: host.since or now)
    well = (h for h in hosts if h.stage is HostStage.DONE or (h.drift and h.stage not in BROKEN))
    good = {plan.place(host).kind for host in well}
    canary = next((host for host in failed if plan.place(host).kind not in good), None)
    reached = sum(host.stage is HostStage.DONE for host in hosts) + len(failed)
    share = math.floor(plan.max_share * reached) if reached >= plan.min_sample else 0
    first = canary or (failed[0] if len(failed) > max(plan.max_failures, share) else None)
    return f"{first.host}: {first.reason}" if first else ""


def proven(hosts: Iterable[HostState], plan: Plan) -> set[str]:
    """The classes in which a host runs the image well."""
    return {plan.place(host).kind for host in hosts if host.stage is HostStage.DONE and not plan.is_gone(host)}


def missing(hosts: Collection[HostState], plan: Plan) -> set[str]:
    """The hosts that are gone and count as if their turn had not come: others take their places meanwhile.

    The first of a class is none of them. Perhaps its new image is why it is gone, and then the next host would be, too;
    so its class waits for it, until it is cordoned or a newer image comes.
    """
    classes = proven(hosts, plan)
    return {
        host.host
        for host in hosts
        if host.stage not in WAITING and plan.is_gone(host)
        if host.host in plan.cordoned or plan.place(host).kind in classes
    }


def awaited(hosts: Collection[HostState], plan: Plan) -> HostState | None:
    """A host that is gone and for which its class waits, if there is one."""
    away = missing(hosts, plan)
    gone = (host for host in hosts if host.stage not in WAITING and plan.is_gone(host))
    return next((host for host in gone if host.host not in away), None)


def chosen(hosts: Sequence[HostState], allowed: int, since: datetime | None, plan: Plan, now: datetime) -> list[str]:
    """The hosts whose turn it is: the wave may touch `allowed`, and opened at `since`.

    They are in the order of the fleet, but the first of each class before all others; and last come those that were
    called in vain, also of such a class: a hundred hosts that are away hold nobody else up.
    """
    away = missing(hosts, plan)
    touched = [host for host in hosts if host.stage not in WAITING and host.host not in away]
    room, good = _Room.left(hosts, plan, now), proven(hosts, plan)
    # What has failed says nothing of its class any more: the verdict on that was passed, or there would be no next one.
    begun = {plan.place(host).kind for host in touched if host.stage is HostStage.DONE or host.stage.is_moving}
    room.hosts = min(room.hosts, allowed - len(touched))
    found: list[str] = []
    for host in sorted(hosts, key=lambda host: (host.attempts > 0, plan.place(host).kind in good)):
        if room.hosts <= 0:
            break
        kind = plan.place(host).kind
        if host.stage not in (HostStage.PENDING, HostStage.READY) or not host.is_due(now) or host.host in plan.cordoned:
            continue
        unproven = kind in begun and kind not in good
        early = since is not None and now < since + plan.jitter * share(host.name)
        if unproven or early or plan.wait(host, now) or not room.takes(host):
            continue
        found.append(host.host)
        begun.add(kind)
    return found


def ahead(hosts: Sequence[HostState], plan: Plan, now: datetime) -> list[str]:
    """The hosts that may fetch before their turn, within the limits on hosts that move."""
    if not plan.ahead:
        return []
    room = _Room.left(hosts, plan, now)
    return [
        host.host
        for host in sorted(hosts, key=lambda host: host.attempts > 0)
        if host.stage is HostStage.PENDING and host.is_due(now) and host.host not in plan.cordoned and room.takes(host)
    ]


def recalled(hosts: Sequence[HostState], plan: Plan, now: datetime) -> list[str]:
    """The hosts that were done and go back now, within the limits on hosts that move: they serve well until then.

    Those that failed wait for nobody.
    """
    room = _Room.left(hosts, plan, now)
    return [
        host.host
        for host in hosts
        if host.stage is HostStage.DONE and host.host not in plan.cordoned and room.takes(host)
    ]


@dataclass(slots=True)
class _Room:
    """How many `hosts` may begin to move, beside those that do; `at_site` counts by site."""

    plan: Plan
    hosts: int
    at_site: dict[str, int]

    @classmethod
    def left(cls, hosts: Sequence[HostState], plan: Plan, now: datetime) -> "_Room":
        moving, at_site = plan.moving(hosts, now), dict(plan.elsewhere)
        for host in moving:
            site = plan.place(host).site
            at_site[site] = at_site.get(site, 0) + 1
        return cls(plan, plan.at_once - len(moving), at_site)

    def takes(self, host: HostState) -> bool:
        """Whether there is room for one more, which then has it."""
        place = self.plan.place(host)
        there = self.at_site.get(place.site, 0)
        if self.hosts <= 0 or (place.at_once is not None and there >= place.at_once):
            return False
        self.hosts -= 1
        self.at_site[place.site] = there + 1
        return True


def waits_for(host: HostState, plan: Plan, now: datetime) -> str | None:
    """What a host whose turn has not come should say that it waits for; None: what it says now."""
    if host.stage not in (HostStage.PENDING, HostStage.READY):
        return None
    if host.host in plan.cordoned:
        return f"{CORDONED}{plan.cordoned[host.host]}"
    held = plan.wait(host, now)
    if held is not None:
        return host.reason if host.attempts else held.said
    # What it said of an hour or a person is not so any more; that it could not be reached still is.
    return host.reason if host.attempts and not host.reason.startswith(CORDONED) else ""


CORDONED = "cordoned by "
