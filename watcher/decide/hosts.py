"""What follows what on one host of a rollout."""

from dataclasses import replace
from datetime import datetime, timedelta

from watcher.errors import Temporary
from watcher.order import Lane
from watcher.plan import BROKEN, GIVEN_UP_AFTER, WAITING, Plan
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage


def host_due(host: HostState, rollout: Rollout, now: datetime, plan: Plan | None = None) -> bool:
    """Whether a worker should take the host's next step, forward or back.

    What is there is only touched at the hours of `plan`; without one, at any.
    """
    if not host.is_due(now) or not host.stage.is_moving:
        return False
    if rollout.stage is RolloutStage.HALTED:
        return host.stage.is_touched
    if rollout.stage in (RolloutStage.ROLLING, RolloutStage.DONE):
        waits = host.stage is HostStage.FETCHED and plan is not None and not plan.of(rollout).may_touch(host, now)
        return not waits
    return False


def lane(host: HostState, rollout: Rollout) -> Lane:
    """By which lane the order for a host's next step goes."""
    if goes_back(host, rollout):
        return Lane.BACK
    return Lane.PULLS if host.stage.fetches else Lane.HOSTS


def goes_back(host: HostState, rollout: Rollout) -> bool:
    """Whether the host's next step is towards what it ran before."""
    return rollout.stage is RolloutStage.HALTED or host.stage.goes_back


def offline(host: HostState, now: datetime, error: Temporary) -> HostState:
    """A host that could not be reached when it was called: pending again, with the reason, and in nobody's way.

    One that brings the image to itself goes on with it behind its link, and keeps its place there for some attempts.
    """
    tried = host.again(now, error)
    if host.pulling_since is not None and tried.attempts < GIVEN_UP_AFTER:
        return tried
    pending = host.at(HostStage.PENDING, now, reason=tried.reason)
    return replace(pending, attempts=tried.attempts, due_at=tried.due_at, throttled=tried.throttled)


def moves(host: HostState) -> bool:
    return host.stage.is_moving and host.stage is not HostStage.AHEAD


def has_ended(host: HostState) -> bool:
    return host.stage is HostStage.DONE or (host.stage in BROKEN and not moves(host))


def is_left_out(host: HostState, plan: Plan) -> bool:
    """Whether a person keeps the host out. It gets the image once it is uncordoned."""
    return host.host in plan.cordoned and (host.stage in WAITING or plan.is_gone(host))


def is_owed_a_way_back(host: HostState) -> bool:
    """Whether a host of a halted rollout has not come back yet to what it ran before."""
    return host.midway or (host.stage.is_touched and host.stage not in (HostStage.RETURNED, HostStage.STUCK))


WATCHED = timedelta(seconds=15)
"""After which a host that is done is looked at again while its rollout goes on; later after as long as it has stood."""


def watch_due(host: HostState, soak: timedelta, now: datetime) -> bool:
    """Whether a host that is done should be looked at again, because its rollout goes on to others.

    Ever more rarely, so that one that dies is noticed within the time that it lived; and once more when it has stood
    for `soak`: only then the next wave may open.
    """
    if host.stage is not HostStage.DONE or host.since is None or not host.is_due(now):
        return False
    seen = max(host.inspected_at or host.since, host.since)
    return now - seen >= max(WATCHED, seen - host.since) or seen < host.since + soak <= now


def seen(host: HostState, now: datetime) -> HostState:
    """The host after a look that found it well."""
    return replace(host, reason="", attempts=0, due_at=None, inspected_at=now)


def inspection_due(host: HostState, every: timedelta, now: datetime) -> bool:
    """Whether a host should be asked what it really runs. Its rollout is the one that the fleet is at.

    Who came to it a moment ago is asked sooner: the last hosts of a rollout were watched by nobody while it went on.
    """
    if host.stage is not HostStage.DONE or host.inspected_at is None:
        return host.stage is HostStage.DONE
    stood = host.inspected_at - (host.since or host.inspected_at)
    return now - host.inspected_at >= min(every, max(WATCHED, stood))


def inspected(host: HostState, drift: str, put_right: bool, now: datetime) -> HostState:
    """The host after an inspection that found this `drift` (empty: none). To be put right, it is called once more."""
    looked_at = replace(seen(host, now), drift=drift)
    return looked_at.at(HostStage.PENDING, now, reason=drift) if drift and put_right else looked_at
