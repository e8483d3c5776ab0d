"""Polling one index: what is new of every pinned package, what the policy makes of it, and the bumps that follow."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from watcher.bump import Bump, BumpStage
from watcher.decision import Decision, Verdict
from watcher.ecosystems import ECOSYSTEMS
from watcher.head import Head
from watcher.http import Http
from watcher.indexes import Index
from watcher.ledger import Ledger
from watcher.look import packages_of
from watcher.lookup import IndexState, Lookup, Outcome
from watcher.pin import Pin
from watcher.policy import Rules, choose
from watcher.settings import AppSettings, Settings


def poll(state: IndexState, settings: Settings, ledger: Ledger, index: Index, http: Http, now: datetime) -> IndexState:
    """Asks the index about every package that an app pins, and decides; the index's state after it.

    What each lookup comes to is kept as it comes, so a process that dies half-way has not asked in vain.
    """
    wanted = packages_of(settings, ledger, state.index)
    known = {lookup.package: lookup for lookup in ledger.all(Lookup, index=state.index)}
    asked = [known.get(package) or Lookup(index=state.index, package=package) for package in sorted(wanted)]
    found: dict[str, Lookup] = {}
    for lookup in index.look_up(asked, http, now):
        before = known.get(lookup.package)
        found[lookup.package] = ledger.write([(before, lookup)], now)[0]
    for name, app in settings.apps.items():
        decide(name, app, settings.indexes[state.index].kind, found, ledger, now)
    return _after(state, found.values(), now)


def _after(state: IndexState, found: Iterable[Lookup], now: datetime) -> IndexState:
    """The index's state: polled, and unreachable if it has answered for nobody."""
    lookups = list(found)
    unknown = [lookup for lookup in lookups if lookup.outcome is Outcome.UNKNOWN]
    polled = replace(state, polled_at=now, packages=len(lookups), unknown=len(unknown))
    if not unknown:
        return replace(polled, answered_at=now, attempts=0, due_at=None, reason="")
    due = min((lookup.due_at for lookup in unknown if lookup.due_at), default=None)
    answered_at = now if len(unknown) < len(lookups) else state.answered_at
    return replace(polled, answered_at=answered_at, attempts=state.attempts + 1, due_at=due, reason=unknown[0].reason)


def decide(
    name: str, app: AppSettings, ecosystem: str, found: dict[str, Lookup], ledger: Ledger, now: datetime
) -> None:
    """Chooses for each pin of the app that was looked up, keeps the decisions, and notes the bumps that they are."""
    head = ledger.find(Head, app=name)
    target = ECOSYSTEMS[ecosystem].target(app.image)
    bumps = ledger.all(Bump, app=name)
    for pin in head.pins if head else ():
        if pin.ecosystem != ecosystem or pin.package not in found or not target.wants(pin):
            continue
        rules = Rules(
            app=name,
            target=target,
            cooldown=app.policy.cooldown,
            ignored=app.policy.ignore,
            direct_only=app.policy.watch == "direct",
            silenced=_silenced(bumps, pin),
        )
        decision = choose(pin, found[pin.package], rules, now)
        ledger.decide(decision)
        if decision.verdict is Verdict.TAKEN:
            _note(name, pin, decision, found[pin.package], bumps, ledger, now)


def _silenced(bumps: Iterable[Bump], pin: Pin) -> dict[str, str]:
    """The versions that came to nothing before, and why. A person's `toplayer bump` opens one of them again.

    One that was merged, and is newer than the pin, was taken back by a person: it does not come again by itself.
    """
    said = {BumpStage.CLOSED: "closed", BumpStage.FAILED: "failed", BumpStage.MERGED: "merged, and then taken back"}
    ended = [bump for bump in bumps if bump.package == pin.package and bump.stage in said]
    return {bump.to_version: bump.reason or said[bump.stage] for bump in ended}


def _note(
    app: str, pin: Pin, decision: Decision, lookup: Lookup, bumps: Iterable[Bump], ledger: Ledger, now: datetime
) -> None:
    """The bump to the candidate. One that was found for an older candidate, and not proposed yet, gives way to it."""
    older = [b for b in bumps if b.package == pin.package and b.stage is BumpStage.FOUND]
    made = Bump(
        id=Bump.id_of(app, pin.package, decision.candidate),
        app=app,
        ecosystem=pin.ecosystem,
        package=pin.package,
        from_version=pin.version,
        to_version=decision.candidate,
        found_at=now,
        released_at=next(r.released_at for r in lookup.releases if r.version == decision.candidate),
        why=decision.said,
    )
    said = f"{made.to_version} is newer"
    changes = [(b, b.at(BumpStage.SUPERSEDED, now, reason=said)) for b in older if b.id != made.id]
    before = next((b for b in bumps if b.id == made.id), None)
    if before is None:
        ledger.write([*changes, (None, made)], now)
    elif not before.stage.is_open:
        # It gave way to a newer release that is not to be had any more.
        ledger.write([*changes, (before, replace(made, revision=before.revision))], now)
