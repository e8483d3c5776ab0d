"""What follows what: the pipeline on one page.

Pure functions of entries and time. The look asks them what to order and what to turn; a worker asks them again before
it acts, because its message may be late, or the second of its kind. Nothing else in the project knows the sequence.

    survey ──▶ pins ──poll──▶ Bump found ──propose──▶ proposed ──survey──▶ merged (or closed)
                                                   proposed: see `watcher.tend`
    survey ──▶ commit ──▶ Rollout wanted ──build──▶ built ──▶ rolling: waves of hosts ──▶ done (or halted)
    host: pending ──(its wave)──▶ called ──roll──▶ fetched ──roll──▶ proving ──roll──▶ done (or failed ──▶ returned)
"""

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watcher import tend
from watcher.bump import Bump, BumpStage, Part
from watcher.errors import Temporary
from watcher.head import Head
from watcher.lookup import IndexState
from watcher.order import Lane
from watcher.plan import (
    BROKEN,
    GIVEN_UP_AFTER,
    WAITING,
    Plan,
    ahead,
    awaited,
    chosen,
    missing,
    recalled,
    verdict,
    waits_for,
)
from watcher.policy import Policy
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.turn import Turn
from watcher.versions import Scheme
from watcher.window import Wait, wait

MINUTE = timedelta(minutes=1)


# --- a bump ---------------------------------------------------------------------------------------------------------


def survey_due(head: Head, bumps: Collection[Bump], every: timedelta, now: datetime) -> bool:
    """Whether the app's branch should be looked at: it is time, or something of ours was just pushed there."""
    if not head.is_due(now):
        return False
    if head.surveyed_at is None or now - head.surveyed_at >= every:
        return True
    return any(
        bump.stage is BumpStage.PROPOSED and bump.proposed_at is not None and bump.proposed_at > head.surveyed_at
        for bump in bumps
    )


def poll_due(state: IndexState, unseen: bool, every: timedelta, turn: Turn, *, public: bool = True) -> bool:
    """Whether an index should be polled: it is time, or there are packages that it was never asked about, or for which
    it did not answer. When everybody's clocks ask, only a person may, and who is in a hurry at an index of his own."""
    hurry = unseen or state.due_at is not None or state.polled_at is None
    is_rush = every >= MINUTE and rush_left(turn.now, state.index, state.polled_at) > timedelta()
    if is_rush and not turn.at_once and (public or not hurry):
        return False
    if state.due_at is not None or state.polled_at is None:
        return turn.has(state.polled_at, state.due_at)
    at_once = turn.at_once and turn.has(state.polled_at, None)
    return unseen or at_once or turn.now - state.polled_at >= every * (1 - 0.1 * _share(state.index, state.polled_at))


def rush_left(now: datetime, *chance: object) -> timedelta:
    """How long everybody's clocks still ask, if an hour has just begun: for a minute, or up to two by `chance`. Who
    waits for its end does not go on with all the others."""
    begun = timedelta(minutes=now.minute, seconds=now.second)
    return max(MINUTE * (1 + _share(*chance)) - begun, timedelta())


def _share(*of: object) -> float:
    """From 0 to 1, by name and not by luck: what was started together does not ask together for ever."""
    return zlib.crc32("/".join(map(str, of)).encode()) / 0xFFFFFFFF


Locked = Mapping[tuple[str, str], Sequence[str]]
"""The versions that the locks at a head have, by ecosystem and package."""


def locked(head: Head) -> Locked:
    """See `Locked`."""
    found: dict[tuple[str, str], list[str]] = {}
    for pin in head.everything:
        found.setdefault((pin.ecosystem, pin.package), []).append(pin.version)
    return found


def settled(bump: Bump, head: Head, pins: Locked, scheme: Scheme, now: datetime) -> Bump:
    """What a survey tells about an open bump: merged, overtaken, closed by a person, or still as it was.

    `pins` are the head's (see `locked`).
    """
    if head.surveyed_at is None or head.reason or not bump.stage.is_open:
        return bump
    now_at = {part: pins.get((bump.ecosystem, part.package), ()) for part in bump.parts}
    left = {part: versions for part, versions in now_at.items() if versions}
    if not left:
        return bump.at(BumpStage.CLOSED, now, reason=f"{bump.package} is no longer in the lockfile")
    # What stays at another version for another platform, or in no image, was not what the bump is about.
    moved = all(part.from_version not in versions for part, versions in left.items())
    if moved and all(part.to_version in versions for part, versions in left.items()):
        return bump.at(BumpStage.MERGED, now, commit=head.commit)
    if moved and all(any(_is_there(one, part, scheme) for one in versions) for part, versions in left.items()):
        newest = ", ".join(max(versions, key=scheme.key) for versions in left.values())
        return bump.at(BumpStage.SUPERSEDED, now, reason=f"the lockfile is already at {newest}")
    seen_since = bump.proposed_at is not None and head.surveyed_at > bump.proposed_at
    if bump.stage is BumpStage.PROPOSED and seen_since and bump.branch not in dict(head.branches):
        return bump.at(BumpStage.CLOSED, now, reason=f"{bump.branch} does not hold it any more, and it was not merged")
    return bump


def _is_there(version: str, part: Part, scheme: Scheme) -> bool:
    """Whether a pin at `version` has got to where the bump would bring it, or further; or, where versions have no
    order, anywhere but where it was."""
    if not scheme.is_newer(part.to_version, version):
        return True
    return scheme.is_newer(version, part.to_version) and scheme.is_newer(version, part.from_version)


Wishes = Callable[[str], Policy]
"""What an app wants for a package of this name."""


def waits(bump: Bump, wishes: Wishes, now: datetime) -> Wait | None:
    """What keeps a bump from beginning now: a window or a freeze of one of its packages. A person's order waits for
    neither."""
    if bump.by:
        return None
    policies = [wishes(part.package) for part in bump.parts]
    found = [wait(policy.windows, policy.freeze, now) for policy in policies]
    return max((one for one in found if one), key=lambda one: one.until, default=None)


def in_the_way(bump: Bump, waiting: Iterable[Bump], head: Head) -> Bump | None:
    """Which of those that wait to be merged keeps a bump from being proposed, if any does.

    One bump of an app waits at a time; but a security fix waits for other security fixes alone, and for none that a
    person has taken over. One of the same packages gives way, unless a person works on its branch.
    """
    for other in waiting:
        if other.subject == bump.subject:
            blocks = not tend.stands(other, head)
        else:
            blocks = not bump.advisories or (bool(other.advisories) and not tend.is_theirs(other, head))
        if blocks:
            return other
    return None


def next_bump(
    bumps: Collection[Bump], head: Head, wishes: Wishes, paused: bool, now: datetime, *, forge: bool = False
) -> Bump | None:
    """The bump to propose now: one that has nothing in its way.

    One that fixes an advisory goes first, then what a person ordered, then the oldest. One that waits without a pull
    request, because the app had no `forge` then, is proposed there.
    """
    if paused:
        return None
    waiting = [bump for bump in bumps if bump.stage is BumpStage.PROPOSED]
    found = [bump for bump in bumps if bump.stage is BumpStage.FOUND and bump.is_due(now)]
    free = [bump for bump in found if in_the_way(bump, waiting, head) is None]
    ready = [bump for bump in free if waits(bump, wishes, now) is None]
    if not ready and forge:
        ready = [b for b in waiting if not b.proposal and b.is_due(now) and tend.stands(b, head)]
    return min(ready, key=lambda bump: (not bump.advisories, not bump.by, bump.found_at, bump.id), default=None)


# --- a rollout ------------------------------------------------------------------------------------------------------


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


def build_due(rollout: Rollout, newest: Rollout, paused: bool, blind: bool, now: datetime) -> bool:
    """Whether the rollout's image should be built now. Only the newest is: the others' commits are in it.

    `blind`: it would be laid out before anybody has said how often its packages change.
    """
    wanted = rollout.stage is RolloutStage.WANTED and rollout == newest
    return wanted and not paused and not blind and rollout.is_due(now)


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
    left = any(not _has_ended(host) and not _is_left_out(host, plan) for host in hosts)
    ended = any(map(_has_ended, hosts))
    counts = plan.counts(hosts)
    asks = any(_unapproved(rollout, plan, wave) for wave in range(rollout.wave + 1, len(counts) + 1))
    if all(map(_has_ended, hosts)) or (ended and not left and not asks):
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
    stood = all(_has_ended(host) and _has_stood(host, plan, now) for host in touched)
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
    moving = [host for host in hosts if _moves(host) and not plan.is_gone(host)]
    return any(host.stage is not HostStage.FETCHED or plan.may_touch(host, now) for host in moving)


def holds_up(rollout: Rollout, hosts: Collection[HostState], plan: Plan, now: datetime) -> bool:
    """Whether a newer image has to wait for the hosts of a rollout that has ended.

    Those that are on their way back are waited for, but not for ever: who is gone is called by the newer one when it
    returns, and who is cordoned when it is uncordoned.
    """
    if rollout.stage is not RolloutStage.HALTED:
        return is_busy(hosts, plan, now)
    left = (host for host in hosts if _is_owed_a_way_back(host) and not plan.is_gone(host))
    return any(host.stage is not HostStage.DONE or host.host not in plan.cordoned for host in left)


def _moves(host: HostState) -> bool:
    return host.stage.is_moving and host.stage is not HostStage.AHEAD


def _has_ended(host: HostState) -> bool:
    return host.stage is HostStage.DONE or (host.stage in BROKEN and not _moves(host))


def _is_left_out(host: HostState, plan: Plan) -> bool:
    """Whether a person keeps the host out. It gets the image once it is uncordoned."""
    return host.host in plan.cordoned and (host.stage in WAITING or plan.is_gone(host))


def _kept_at(rollout: Rollout, hosts: Sequence[HostState], plan: Plan, now: datetime) -> tuple[HostState, ...]:
    """The hosts that a rollout which is done still has to bring to its image: they were cordoned, are new in the fleet,
    or somebody changed what they run."""
    why = verdict(hosts, plan, now)
    if not why:
        return _called(rollout, hosts, len(hosts), plan, now)
    said = f"waits, because it failed on {why}"
    return tuple(replace(h, reason=said) for h in hosts if h.stage is HostStage.PENDING and h.reason != said)


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


def _called(
    rollout: Rollout, hosts: Sequence[HostState], allowed: int, plan: Plan, now: datetime
) -> tuple[HostState, ...]:
    """The hosts that are called now, that fetch ahead of their turn, and that wait for something else than before."""
    by_name = {host.host: host for host in hosts}
    turn = {HostStage.PENDING: HostStage.CALLED, HostStage.READY: HostStage.FETCHED}
    changed = {
        name: by_name[name].at(turn[by_name[name].stage], now)
        for name in chosen(hosts, allowed, rollout.wave_at, plan, now)
    }
    after = [changed.get(host.host, host) for host in hosts]
    changed |= {name: by_name[name].at(HostStage.AHEAD, now) for name in ahead(after, plan, now)}
    for host in hosts:
        said = waits_for(host, plan, now)
        if said is not None and said != host.reason and host.host not in changed:
            changed[host.host] = replace(host, reason=said)
    return tuple(changed.values())


def _unapproved(rollout: Rollout, plan: Plan, wave: int) -> bool:
    return wave in plan.approve and rollout.approved < wave


def _awaits(rollout: Rollout, wave: int) -> Rollout:
    return replace(rollout, reason=f"wave {wave} waits for `toplayer approve {rollout.app}`")


_AT_WORK = (RolloutStage.ROLLING, RolloutStage.HALTED, RolloutStage.DONE)
_UNTOUCHED = (HostStage.CALLED, HostStage.AHEAD, HostStage.READY, HostStage.FETCHED)


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


def goes_back(host: HostState, rollout: Rollout) -> bool:
    """Whether the host's next step is towards what it ran before."""
    return rollout.stage is RolloutStage.HALTED or host.stage.goes_back


def lane(host: HostState, rollout: Rollout) -> Lane:
    """By which lane the order for a host's next step goes."""
    if goes_back(host, rollout):
        return Lane.BACK
    return Lane.PULLS if host.stage.fetches else Lane.HOSTS


def is_over(rollout: Rollout, hosts: Collection[HostState]) -> bool:
    """Whether neither the rollout nor any of its hosts has a step left."""
    if rollout.stage.is_open:
        return False
    return not (rollout.stage is RolloutStage.HALTED and any(map(_is_owed_a_way_back, hosts)))


def _is_owed_a_way_back(host: HostState) -> bool:
    """Whether a host of a halted rollout has not come back yet to what it ran before."""
    return host.midway or (host.stage.is_touched and host.stage not in (HostStage.RETURNED, HostStage.STUCK))


def offline(host: HostState, now: datetime, error: Temporary) -> HostState:
    """A host that could not be reached when it was called: pending again, with the reason, and in nobody's way.

    One that brings the image to itself goes on with it behind its link, and keeps its place there for some attempts.
    """
    tried = host.again(now, error)
    if host.pulling_since is not None and tried.attempts < GIVEN_UP_AFTER:
        return tried
    pending = host.at(HostStage.PENDING, now, reason=tried.reason)
    return replace(pending, attempts=tried.attempts, due_at=tried.due_at)
