"""What follows what in the life of a rollout: from the branch's tip, wave by wave, to its end or the way back."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from watcher.bump import Bump
from watcher.decide.hosts import has_ended, is_left_out, is_owed_a_way_back, moves
from watcher.head import Head
from watcher.plan import WAITING, Plan, ahead, awaited, chosen, missing, recalled, verdict, waits_for
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage


def is_wanted(head: Head, last: Rollout | None) -> bool:
    """Whether the branch's tip is to be rolled out. `last` is the last rollout that came of the branch.

    One that came of a person's `rollback` or `retry` says nothing about the branch: what was rolled back still stands
    there, and is not wanted again. A commit that the branch has come back to is.
    """
    return bool(head.commit) and (last is None or last.commit != head.commit)


def wanted(
    head: Head,
    generation: int,
    last: Rollout | None,
    merged: Collection[Bump],
    now: datetime,
    *,
    cause: str = "commit",
    held: bool = False,
) -> Rollout:
    """A rollout of the branch's tip. `last` is the last one that came of the branch.

    `merged` are the app's merged bumps; those that ended since `last` are what this one brings, unless `last` was of
    the same commit: then both bring the same.
    """
    again = last is not None and last.commit == head.commit
    fresh = [b.released_at for b in merged if b.ended_at and (not last or b.ended_at > last.wanted_at)]
    released_at = min((at for at in fresh if at), default=None)
    return Rollout(
        id=Rollout.id_of(head.app, generation),
        app=head.app,
        generation=generation,
        commit=head.commit,
        cause=cause,
        held=held,
        merged_at=head.committed_at,
        wanted_at=now,
        released_at=last.released_at if last and again else released_at,
    )


def build_due(rollout: Rollout, newest: Rollout, paused: bool, now: datetime) -> bool:
    """Whether the rollout's image should be built now. Only the newest is: the others' commits are in it."""
    wanted = rollout.stage is RolloutStage.WANTED and rollout == newest
    return wanted and not paused and rollout.is_due(now)


_AT_WORK = (RolloutStage.ROLLING, RolloutStage.HALTED, RolloutStage.DONE)

_UNTOUCHED = (HostStage.CALLED, HostStage.AHEAD, HostStage.READY, HostStage.FETCHED)


def turned(
    rollout: Rollout,
    hosts: Sequence[HostState],
    others: Collection[Rollout],
    plan: Plan,
    paused: bool,
    now: datetime,
) -> tuple[Rollout, tuple[HostState, ...]]:
    """The rollout's next turn: the rollout as it now stands, and the hosts whose stage changes with it.

    `hosts` are the rollout's, in the fleet's order; `others` the other rollouts of the same app that are open, or hold
    it up (see `holds_up`). No turn is taken: the same rollout and no hosts.
    """
    stage, plan = rollout.stage, plan.of(rollout)
    newer = [other for other in others if other.generation > rollout.generation and not other.held]
    if stage is RolloutStage.WANTED and newer:
        return rollout.at(RolloutStage.SUPERSEDED, now, reason=f"{newer[0].id} is newer"), ()
    if stage is RolloutStage.BUILT and not rollout.held:
        if any(other.image for other in newer):
            return rollout.at(RolloutStage.SUPERSEDED, now, reason=f"{newer[0].id} is newer"), ()
        if paused or any(other.stage in _AT_WORK for other in others):
            return rollout, ()
        if _unapproved(rollout, plan, 1):
            return _awaits(rollout, 1), ()
        return rollout.at(RolloutStage.ROLLING, now).with_wave(1, now), ()
    if stage is RolloutStage.ROLLING:
        return _rolling(rollout, hosts, any(other.image for other in newer), plan, paused, now)
    if stage is RolloutStage.DONE and not paused and not any(other.image for other in newer):
        return rollout, _kept_at(rollout, hosts, plan, now)
    if stage is RolloutStage.HALTED:
        return rollout, _taken_back(hosts, plan, now)
    return rollout, ()


def _taken_back(hosts: Sequence[HostState], plan: Plan, now: datetime) -> tuple[HostState, ...]:
    """The hosts of a halted rollout whose stage changes: who was not touched keeps what it runs, and of those that were
    done some begin to go back; and so does who was in the middle of something before this one, and is there again."""
    changed = {
        host.host: host.at(HostStage.RECALLED if host.midway else HostStage.PENDING, now)
        for host in hosts
        if host.midway or host.stage in _UNTOUCHED
    }
    after = [changed.get(host.host, host) for host in hosts]
    called = recalled(after, plan, now)
    return (*changed.values(), *(host.at(HostStage.RECALLED, now) for host in after if host.host in called))


def _rolling(
    rollout: Rollout, hosts: Sequence[HostState], overtaken: bool, plan: Plan, paused: bool, now: datetime
) -> tuple[Rollout, tuple[HostState, ...]]:
    why = verdict(hosts, plan, now)
    if why:
        return rollout.at(RolloutStage.HALTED, now, reason=why), ()
    if overtaken:
        free = not is_busy(hosts, plan, now)
        return (rollout.at(RolloutStage.SUPERSEDED, now, reason="a newer image is ready") if free else rollout), ()
    left = any(not has_ended(host) and not is_left_out(host, plan) for host in hosts)
    ended = any(map(has_ended, hosts))
    counts = plan.counts(hosts)
    asks = any(_unapproved(rollout, plan, wave) for wave in range(rollout.wave + 1, len(counts) + 1))
    if all(map(has_ended, hosts)) or (ended and not left and not asks):
        return rollout.at(RolloutStage.DONE, now), ()
    if paused:
        return rollout, ()
    rollout = _opened(rollout, hosts, counts, plan, now)
    return rollout, _called(rollout, hosts, counts[min(rollout.wave, len(counts)) - 1], plan, now)


def _opened(rollout: Rollout, hosts: Sequence[HostState], counts: Sequence[int], plan: Plan, now: datetime) -> Rollout:
    """The rollout with its next wave open, if it is time, or with what that waits for."""
    lost, away = awaited(hosts, plan), missing(hosts, plan)
    if lost is not None:
        said = f"waits for {lost.host}, which went away before anybody else of its class had the image"
        return replace(rollout, reason=f"{said}; `toplayer cordon {lost.host}` goes on without it")
    touched = [host for host in hosts if host.stage not in WAITING and host.host not in away]
    stood = all(has_ended(host) and _has_stood(host, plan, now) for host in touched)
    if rollout.wave >= len(counts) or len(touched) < counts[rollout.wave - 1] or not stood:
        return replace(rollout, reason="")
    if _unapproved(rollout, plan, rollout.wave + 1):
        return _awaits(rollout, rollout.wave + 1)
    return rollout.with_wave(rollout.wave + 1, now)


def _has_stood(host: HostState, plan: Plan, now: datetime) -> bool:
    """Whether nothing speaks against the next wave: it has stood for a while, and was well when that was over."""
    until = (host.since or now) + plan.soak
    asked = host.stage is HostStage.DONE and host.host not in plan.cordoned and not plan.is_gone(host)
    return until <= now and not (asked and host.inspected_at is not None and host.inspected_at < until)


def is_busy(hosts: Collection[HostState], plan: Plan, now: datetime) -> bool:
    """Whether a newer image has to wait, because some host is in the middle of something.

    One that only waits for its hour was not touched, and one that went away holds nobody up for ever.
    """
    moving = [host for host in hosts if moves(host) and not plan.is_gone(host)]
    return any(host.stage is not HostStage.FETCHED or plan.may_touch(host, now) for host in moving)


def holds_up(rollout: Rollout, hosts: Collection[HostState], plan: Plan, now: datetime) -> bool:
    """Whether a newer image has to wait for the hosts of a rollout that has ended.

    Those that are on their way back are waited for, but not for ever: who is gone is called by the newer one when it
    returns, and who is cordoned when it is uncordoned.
    """
    if rollout.stage is not RolloutStage.HALTED:
        return is_busy(hosts, plan, now)
    left = (host for host in hosts if is_owed_a_way_back(host) and not plan.is_gone(host))
    return any(host.stage is not HostStage.DONE or host.host not in plan.cordoned for host in left)


def is_over(rollout: Rollout, hosts: Collection[HostState]) -> bool:
    """Whether neither the rollout nor any of its hosts has a step left."""
    if rollout.stage.is_open:
        return False
    return not (rollout.stage is RolloutStage.HALTED and any(map(is_owed_a_way_back, hosts)))


def _kept_at(rollout: Rollout, hosts: Sequence[HostState], plan: Plan, now: datetime) -> tuple[HostState, ...]:
    """The hosts that a rollout which is done still has to bring to its image: they were cordoned, are new in the fleet,
    or somebody changed what they run."""
    why = verdict(hosts, plan, now)
    if not why:
        return _called(rollout, hosts, len(hosts), plan, now)
    said = f"waits, because it failed on {why}"
    return tuple(replace(h, reason=said) for h in hosts if h.stage is HostStage.PENDING and h.reason != said)


def _called(
    rollout: Rollout, hosts: Sequence[HostState], allowed: int, plan: Plan, now: datetime
) -> tuple[HostState, ...]:
    """The hosts that are called now, that fetch ahead of their turn, and that wait for something else than before."""
    by_name = {host.host: host for host in hosts}
    turn = {HostStage.PENDING: HostStage.CALLED, HostStage.READY: HostStage.FETCHED}
    changed = {
        name: by_name[name].called(turn[by_name[name].stage], now)
        for name in chosen(hosts, allowed, rollout.wave_at, plan, now)
    }
    after = [changed.get(host.host, host) for host in hosts]
    changed |= {name: by_name[name].called(HostStage.AHEAD, now) for name in ahead(after, plan, now)}
    for host in hosts:
        said = waits_for(host, plan, now)
        if said is not None and said != host.reason and host.host not in changed:
            changed[host.host] = replace(host, reason=said)
    return tuple(changed.values())


def _unapproved(rollout: Rollout, plan: Plan, wave: int) -> bool:
    return wave in plan.approve and rollout.approved < wave


def _awaits(rollout: Rollout, wave: int) -> Rollout:
    return replace(rollout, reason=f"wave {wave} waits for `toplayer approve {rollout.app}`")
