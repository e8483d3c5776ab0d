"""What is still in motion by itself, in words: what `toplayer run --once` waits for, and what it says meanwhile."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from watcher import decide, rollouts
from watcher.bump import Bump, BumpStage
from watcher.entry import Entry
from watcher.head import Head
from watcher.ledger import Ledger
from watcher.lookup import IndexState
from watcher.plan import Plan
from watcher.receiver import Receiver
from watcher.retry import LONGEST
from watcher.rollout import HostStage, HostState, Rollout, RolloutStage
from watcher.settings import AppSettings, Settings
from watcher.units import brief

TRIES = 6
"""Failures in a row after which a thing that is tried again no longer counts as in motion."""


def unfinished(settings: Settings, ledger: Ledger, now: datetime, within: timedelta = timedelta.max) -> list[str]:
    """One line for each thing that moves without a person and has not come to its end.

    A repository, a bump or an index that is only tried again after more than `within` does not count.
    """
    lines: list[str] = []
    for name, app in settings.apps.items():
        head = ledger.find(Head, app=name)
        if head is not None and head.reason and head.attempts < TRIES and _soon(head, now, within):
            lines.append(f"{name}: {head.reason}")
        if ledger.is_held(name):
            continue
        bumps = ledger.all(Bump, app=name, stage=[BumpStage.FOUND, BumpStage.PROPOSED])
        lines += [
            brief(f"{bump.package} {bump.from_version} → {bump.to_version}: {bump.reason or bump.stage}")
            for bump in bumps
            if bump.attempts < TRIES and _soon(bump, now, within)
            if not _waits_for_person(bump, bumps, head, app) and not _waits_for_an_hour(bump, app, now)
        ]
        current = rollouts.current(ledger, name)
        halted = [current] if current is not None and current.stage is RolloutStage.HALTED else []
        for rollout in (*rollouts.unfinished(ledger, name), *halted):
            hosts = ledger.all(HostState, rollout=rollout.id, order="position")
            lines += _of_rollout(rollout, hosts, settings.fleets[app.fleet].plan, now)
        lines += _of_kept(name, ledger)
    for state in ledger.all(IndexState, index=[*settings.indexes, *settings.advisories]):
        if state.reason and state.attempts < TRIES and _soon(state, now, within):
            lines.append(f"{state.index}: {state.reason}")
    newest = ledger.last_event()
    for receiver in ledger.all(Receiver, receiver=list(settings.notify.names())):
        if receiver.cursor < newest and not receiver.attempts:
            lines.append(f"{receiver.receiver}: {newest - receiver.cursor} events to deliver")
    return lines


def _soon(entry: Entry, now: datetime, within: timedelta) -> bool:
    return entry.due_at is None or entry.due_at - now <= within


def _waits_for_person(bump: Bump, bumps: Iterable[Bump], head: Head | None, app: AppSettings) -> bool:
    """Whether somebody has to merge or close a bump before something comes of this one."""
    if app.propose == "commit" or head is None:
        return False
    waiting = [other for other in bumps if other.stage is BumpStage.PROPOSED]
    return bump in waiting or decide.in_the_way(bump, waiting, head) is not None


def _waits_for_an_hour(bump: Bump, app: AppSettings, now: datetime) -> bool:
    """Whether a bump waits for its window, or until something that comes with it is old enough."""
    return not _soon(bump, now, 2 * LONGEST) or decide.waits(bump, app.policy.of, now) is not None


def _of_kept(app: str, ledger: Ledger) -> list[str]:
    """The hosts that come to the image of a rollout that is done."""
    kept = rollouts.kept(ledger, app)
    stages = [stage for stage in HostStage if stage.is_moving or stage is HostStage.PENDING]
    hosts = ledger.all(HostState, rollout=kept.id, stage=stages, order="position") if kept else ()
    return [
        f"{host.name} {host.reason or host.stage}"
        for host in hosts
        if host.attempts < TRIES and (host.stage.is_moving or not host.reason or host.drift)
    ]


def _of_rollout(rollout: Rollout, hosts: tuple[HostState, ...], plan: Plan, now: datetime) -> list[str]:
    if decide.is_over(rollout, hosts) or rollout.attempts >= TRIES:
        return []
    if rollout.stage is RolloutStage.WANTED:
        return [f"{rollout.id}: {rollout.reason or 'building'}"]
    if rollout.stage is RolloutStage.BUILT:
        waits = rollout.held or bool(rollout.reason)  # for a person
        return [] if waits else [f"{rollout.id}: waiting for its turn"]
    moving = [host for host in hosts if host.attempts < TRIES and host.stage.is_moving]
    moving = [host for host in moving if host.stage is not HostStage.FETCHED or plan.of(rollout).may_touch(host, now)]
    if moving or rollout.stage is RolloutStage.HALTED:
        return [f"{rollout.id}: {host.host} {host.reason or host.stage}" for host in moving]
    pending = [host for host in hosts if host.stage in (HostStage.PENDING, HostStage.READY, HostStage.FETCHED)]
    if pending and (
        rollout.reason or all(host.attempts or host.reason or host.stage is HostStage.FETCHED for host in pending)
    ):
        return []  # what is left cannot be reached, or waits for its hour or a person
    return [f"{rollout.id}: {'waiting for its next wave' if pending else 'ending'}"]
